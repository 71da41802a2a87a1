"""A listener that records what it is given, for tests and for processes that a test kills."""

from collections.abc import Sequence
from datetime import datetime

from chassis.db.database import Database
from chassis.errors import invalid
from chassis.messaging.batches import Batch, Batches
from chassis.messaging.inbox import Inbox
from contracts import usage
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.chassis.messages import Effect


class RecordingListener:
    """A listener that notes each record once, and the sizes of the batches. ``poison``: records
    that fail; ``refused``: records with another outcome; ``errors``: raised one after the other."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.attempts: list[list[str]] = []
        self.poison: set[str] = set()
        self.refused: set[str] = set()
        self.errors: list[Exception] = []

    def read(self, message: usage.Recorded) -> str:
        if message.description == "nonsense":
            raise invalid("/data", "invalid_record", "it is nonsense")
        return message.id

    def apply(self, session: Session, records: Sequence[str], now: datetime) -> list[int]:
        self.attempts.append(list(records))
        known = set(session.scalars(select(Effect.word).where(Effect.word.in_(records))))
        fresh = dict.fromkeys(
            word for word in records if word not in known and word not in self.refused
        )
        refused = [n for n, word in enumerate(records) if word in self.refused]
        session.add_all(
            Effect(word=word) for word in [*fresh, *(f"refused {records[n]}" for n in refused)]
        )
        session.flush()
        if self.errors:
            raise self.errors.pop()
        if bad := self.poison & set(records):
            raise RuntimeError(f"cannot apply {bad}")
        self.sizes.append(len(records))
        return refused

    def batches(self, database: Database) -> Batches:
        batch = Batch(read=self.read, apply=self.apply)
        return Batches(Inbox(database, {usage.Recorded: batch.apply_one}), usage.Recorded, batch)
