"""A consumer in a process of its own, which a record or a failpoint kills."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from datetime import datetime
from multiprocessing.process import BaseProcess

from chassis.db.database import Database
from chassis.messaging import consumers
from sqlalchemy.orm import Session

from tests.chassis.recording_listener import RecordingListener

# Forked from a process that has imported everything, because imports take longer than the test.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])


class FatalListener(RecordingListener):
    """Kills its process when it is given the record "killer"."""

    def apply(self, session: Session, records: Sequence[str], now: datetime) -> list[int]:
        """Record them, unless one is fatal."""
        if "killer" in records:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().apply(session, records, now)


def start(url: str, database_url: str, failpoint: str = "") -> BaseProcess:
    """A process that consumes usage from the broker until it is killed."""
    process = _CONTEXT.Process(target=_consume, args=(url, database_url, failpoint), daemon=True)
    process.start()
    return process


def _consume(url: str, database_url: str, failpoint: str) -> None:
    os.environ["CLIENTELE_FAILPOINT"] = failpoint
    batches = FatalListener().batches(Database(database_url))
    consumers.RabbitBatchConsumer(url, "billing", batches).run(threading.Event())
