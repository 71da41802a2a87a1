"""Recording usage in batches.

Each record counts once and is decided on its own; all accepted ones are written together.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from chassis.auth.actor import Actor
from sqlalchemy.orm import Session

from billing.actions.ledger import engine
from billing.actions.ledger.orders import Order
from billing.models.decisions import Charge, Refusal

ACCEPTED, DUPLICATE = "accepted", "duplicate"


class UsageRecord(NamedTuple):
    """Usage of a customer; amounts in millionths.

    ``id`` counts once per provider, permanently. ``always``: it has already happened, so the credit
    limit does not apply.
    """

    provider_id: str
    id: str
    organization_id: str
    amount: int
    at: datetime
    description: str
    cost: int = 0
    always: bool = False


def record_usage(
    session: Session,
    *,
    records: Sequence[UsageRecord],
    now: datetime,
    by: Actor,
) -> list[str]:
    """Post the records. Returns for each, in order, ``accepted``, ``duplicate`` or why it is
    refused.

    A refused record changes nothing, and its id may be used again. If two transactions post the
    same id to different accounts at once, the later one ends in an IntegrityError and finds a
    duplicate when it is tried again.
    """
    orders = [_order(record, by) for record in records]
    outcomes = engine.post(session, orders, now=now)
    return [each.code if isinstance(each, Refusal) else ACCEPTED for each in outcomes]


def _order(record: UsageRecord, by: Actor) -> Order:
    charge = Charge(
        record.amount,
        record.description,
        record.cost,
        record.id,
        record.at,
        record.always,
    )
    return Order(record.organization_id, charge, by, record.provider_id)
