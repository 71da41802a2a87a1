"""Billing's service definition."""

from pathlib import Path

from chassis.runtime.service import Service

from billing.config import Settings
from billing.jobs import JOBS
from billing.listeners import BATCHES, LISTENERS

SERVICE = Service(
    name="billing",
    settings=Settings,
    web="billing.web",
    listeners=LISTENERS,
    jobs=JOBS,
    migrations=Path(__file__).parent / "migrations",
    upstreams={"membership": "membership_url"},
    batches=BATCHES,
)
