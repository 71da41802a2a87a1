"""What org does by the clock."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from chassis.db.database import Database
from chassis.runtime.service import Job

from org import actions, sagas


def _in_transaction(act: Callable[..., int]) -> Callable[[Database, datetime, Any], int]:
    def run(database: Database, now: datetime, _settings: Any) -> int:
        with database.transaction() as session:
            return act(session, now=now)

    return run


JOBS = (
    Job("purge_due", 0.5, _in_transaction(sagas.purge_due)),
    Job("resend_requests", 5, _in_transaction(sagas.resend_requests)),
    Job("publish_receipts", 1, _in_transaction(actions.publish_receipts)),
    Job("delete_expired_revocations", 60, _in_transaction(actions.delete_expired_revocations)),
    Job("delete_client_addresses", 60, _in_transaction(actions.client_addresses.delete_expired)),
    Job("erase_people", 60, _in_transaction(actions.erase_more_people)),
)
