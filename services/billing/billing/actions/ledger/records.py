"""Usage records that were posted before: each id counts once per provider, permanently."""

from collections.abc import Sequence
from typing import Any

from chassis.db import direct
from chassis.db.bulk_sql import among, array
from chassis.db.direct import Statement
from chassis.db.upserts import is_postgresql
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.ledger.orders import Order
from billing.models import Entry
from billing.models.decisions import Charge, Refusal

RecordKey = tuple[str | None, str]
DUPLICATE, REUSED = Refusal("duplicate"), Refusal("record_id_reused")
_JOURNAL: Any = Entry.__table__
_COLUMNS = (
    _JOURNAL.c.source,
    _JOURNAL.c.organization_id,
    _JOURNAL.c.amount,
    _JOURNAL.c.occurred_at,
    _JOURNAL.c.description,
    _JOURNAL.c.transaction_id,
)
_OF_PROVIDER = select(*_COLUMNS).where(_JOURNAL.c.provider_id == bindparam("provider_id"))
_AMONG = among(_JOURNAL.c.source, "sources")
_KNOWN = Statement(_OF_PROVIDER.where(_AMONG["postgresql"]))
_KNOWN_ON_SQLITE = _OF_PROVIDER.where(_AMONG["sqlite"])


class KnownRecords:
    """The content of posted records by provider and id: what must be the same if the record is sent
    again."""

    def __init__(self) -> None:
        self.contents: dict[RecordKey, tuple[Any, ...]] = {}

    def refusal(self, key: RecordKey, order: Order) -> Refusal | None:
        """Why the order is refused if its record was posted before."""
        earlier = self.contents.get(key)
        if earlier is None:
            return None
        return DUPLICATE if earlier == _content(order) else REUSED

    def add(self, key: RecordKey, order: Order) -> None:
        """The order is posted."""
        self.contents[key] = _content(order)


def key_of(order: Order) -> RecordKey | None:
    """The provider and the id of the usage record that the order posts; None if it posts none."""
    command = order.command
    if type(command) is not Charge or command.source is None:
        return None
    return order.provider_id, command.source


def known_records(session: Session, orders: Sequence[Order]) -> KnownRecords:
    """Those of the orders' records that were posted before. Read after the accounts are locked."""
    known = KnownRecords()
    by_provider: dict[str | None, set[str]] = {}
    for key in map(key_of, orders):
        if key is not None:
            by_provider.setdefault(key[0], set()).add(key[1])
    for provider_id, sources in by_provider.items():
        _read(session, known, provider_id, sources)
    return known


def _read(
    session: Session, known: KnownRecords, provider_id: str | None, sources: set[str]
) -> None:
    if is_postgresql(session):
        parameters = {"provider_id": provider_id, "sources": array(sources)}
        rows = direct.rows(session, _KNOWN, parameters)
    else:
        on_sqlite = {"provider_id": provider_id, "sources": list(sources)}
        rows = session.connection().execute(_KNOWN_ON_SQLITE, on_sqlite).all()
    costs = queries.provider_costs(
        session, [(row.organization_id, row.transaction_id) for row in rows]
    )
    for row in rows:
        known.contents[provider_id, row.source] = (
            row.organization_id,
            row.amount,
            row.occurred_at,
            row.description,
            costs.get(row.transaction_id, 0),
        )


def _content(order: Order) -> tuple[Any, ...]:
    charge = order.command
    assert isinstance(charge, Charge)
    return (order.organization_id, charge.amount, charge.at, charge.description, charge.cost)
