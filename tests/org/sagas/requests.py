"""What sagas are told: a refusal, the due purge, an activation."""

from datetime import timedelta
from typing import Any

from contracts import parts
from org import sagas
from org.models import Revocation
from sqlalchemy import select

from tests.org.conftest import NOON, STAFF, World

BLOCKER = parts.Blocker(code="credits_left", amount="5.00", currency="EUR")
GRACE = timedelta(days=30)


def feed(world: World, customer: str) -> list[str]:
    with world.database.reading() as session:
        query = (
            select(Revocation.state)
            .where(Revocation.organization_id == customer)
            .order_by(Revocation.seq)
        )
        return list(session.scalars(query))


def purge_due(world: World, at: Any) -> int:
    return world.run(sagas.purge_due, now=at)


def activate(world: World, customer: str, at: Any = NOON) -> Any:
    return world.run(sagas.start_reactivation, organization_id=customer, now=at, by=STAFF)
