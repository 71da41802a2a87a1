"""Shares of work that several processes of one role divide among themselves.

The work has named parts (partitions of the outbox, queues, lanes of jobs). Each process holds a
fair share of them under leases: with 8 parts and 3 processes 3, 3 and 2. A process that starts
gets its share when the others renew; the parts of one that dies are taken over when its lease has
run out.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Row,
    String,
    Update,
    and_,
    bindparam,
    delete,
    false,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from chassis.db import upserts
from chassis.db.columns import Base, BigInt, Instant
from chassis.db.database import Database
from chassis.runtime import ids

LENGTH = timedelta(seconds=6)


class LeaseHolder(Base):
    """A process that shares in work of this kind, and until when it counts as alive."""

    __tablename__ = "lease_holders"
    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64), primary_key=True)
    until: Mapped[datetime] = mapped_column(Instant)


class Lease(Base):
    """Which process holds a part of the work until when. ``fence`` grows with each new holder."""

    __tablename__ = "leases"
    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    part: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64))
    fence: Mapped[int] = mapped_column(BigInt)
    until: Mapped[datetime] = mapped_column(Instant)


# Made once: leases are renewed all the time, most often without any change, and making a statement
# takes longer than running it.
_LEASES: Any = Lease.__table__
_HOLDERS: Any = LeaseHolder.__table__
_KIND: BindParameter[str] = bindparam("of_kind")
_LOCK = (
    select(_LEASES.c.part, _LEASES.c.holder, _LEASES.c.fence, _LEASES.c.until)
    .where(_LEASES.c.kind == _KIND)
    .order_by(_LEASES.c.part)
    .with_for_update()
)
_EVERYONE = select(_HOLDERS.c.holder, _HOLDERS.c.until).where(_HOLDERS.c.kind == _KIND)
_STAY_ALIVE = (
    update(_HOLDERS)
    .where(_HOLDERS.c.kind == _KIND, _HOLDERS.c.holder == bindparam("of_holder"))
    .values(until=bindparam("until"))
)
_CHOSEN = update(_LEASES).where(
    _LEASES.c.kind == _KIND, _LEASES.c.part.in_(bindparam("parts", expanding=True))
)
_PROLONG = _CHOSEN.values(until=bindparam("until"))
_TAKE = _CHOSEN.values(
    until=bindparam("until"), holder=bindparam("new_holder"), fence=_LEASES.c.fence + 1
)


class Leases:
    """The leases of one process on a kind of work."""

    def __init__(
        self,
        database: Database,
        kind: str,
        parts: Sequence[str],
        length: timedelta | None = None,
    ) -> None:
        self.database, self.kind, self.parts = database, kind, sorted(parts)
        self.length = length or LENGTH
        self.holder = ids.new("rly")
        self._fences: dict[str, int] = {}
        self._until: datetime | None = None

    def held(self, now: datetime) -> Mapping[str, int]:
        """The parts that this process holds, each with its fence. Renews the leases when half of
        their time is over."""
        if self.until_renewal(now) <= timedelta(0):
            self.renew(now)
        return self._fences

    def until_renewal(self, now: datetime) -> timedelta:
        """How long ``held`` need not be called: later, a delay could let the leases expire."""
        return self._until - self.length / 2 - now if self._until else timedelta(0)

    def holds(self, part: str, now: datetime) -> bool:
        """Whether this process holds the part; renews nothing, for threads that share these
        leases."""
        return self._until is not None and now < self._until and part in self._fences

    def renew(self, now: datetime) -> None:
        """Prolong the leases, up to a fair share; give away what is more, take what is free."""
        with self.database.transaction(upkeep=True) as session:
            self._sign_in(session, now)
            connection = session.connection()
            open_to_us = [
                row
                for row in self._lock(connection)
                if row.part in self.parts and (row.holder == self.holder or row.until <= now)
            ]
            own = [row for row in open_to_us if row.holder == self.holder]
            free = [row for row in open_to_us if row.holder != self.holder]
            share = self._share(connection, now)
            kept, excess = own[:share], own[share:]
            taken = free[: share - len(kept)]
            until = now + self.length
            self._change(connection, _PROLONG, kept, until=until)
            self._change(
                connection, _PROLONG, [row for row in excess if row.until > now], until=now
            )
            self._change(connection, _TAKE, taken, until=until, new_holder=self.holder)
        self._fences = {row.part: row.fence for row in kept}
        self._fences |= {row.part: row.fence + 1 for row in taken}
        self._until = now + self.length

    def _lock(self, connection: Connection) -> Sequence[Row[Any]]:
        """All leases of this kind, locked in the order of the parts and after the holders, so that
        processes wait for each other and never deadlock."""
        return connection.execute(_LOCK, {"of_kind": self.kind}).all()

    def _change(
        self, connection: Connection, how: Update, rows: Sequence[Row[Any]], **values: Any
    ) -> None:
        if rows:
            parts = [row.part for row in rows]
            connection.execute(how, {"of_kind": self.kind, "parts": parts, **values})

    def release(self, now: datetime) -> None:
        """Give all parts away, for others to take at once."""
        with self.database.transaction(upkeep=True) as session:
            me = (LeaseHolder.kind == self.kind, LeaseHolder.holder == self.holder)
            session.execute(delete(LeaseHolder).where(*me))
            self._lock(session.connection())
            mine = update(Lease).where(Lease.kind == self.kind, Lease.holder == self.holder)
            session.execute(mine.values(until=now))
        self._fences, self._until = {}, None

    def still_held(self) -> ColumnElement[bool]:
        """A condition on ``Lease``: one of the parts as this process took it, so that a process
        which lost its lease without noticing changes nothing."""
        fences = [
            and_(Lease.part == part, Lease.fence == fence) for part, fence in self._fences.items()
        ]
        return and_(Lease.kind == self.kind, Lease.holder == self.holder, or_(false(), *fences))

    def _sign_in(self, session: Session, now: datetime) -> None:
        until = now + self.length
        me = {"of_kind": self.kind, "of_holder": self.holder, "until": until}
        if session.connection().execute(_STAY_ALIVE, me).rowcount == 0:
            row = {"kind": self.kind, "holder": self.holder, "until": until}
            session.connection().execute(insert(_HOLDERS), row)
        if self._until is None:
            free = {"kind": self.kind, "holder": "", "fence": 0, "until": now}
            parts = [{**free, "part": part} for part in self.parts]
            session.execute(upserts.insert(session, Lease).on_conflict_do_nothing(), parts)
            gone = (LeaseHolder.kind == self.kind, LeaseHolder.until < now - self.length)
            session.execute(delete(LeaseHolder).where(*gone))

    def _share(self, connection: Connection, now: datetime) -> int:
        """How many parts this process may hold: the parts are dealt out in the order of the
        holders' names."""
        rows = connection.execute(_EVERYONE, {"of_kind": self.kind})
        alive = sorted(row.holder for row in rows if row.until > now)
        least, more = divmod(len(self.parts), len(alive))
        return least + (alive.index(self.holder) < more)
