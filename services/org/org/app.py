"""Org's service definition."""

from pathlib import Path

from chassis.runtime.service import Service

from org.config import Settings
from org.jobs import JOBS
from org.listeners import LISTENERS

SERVICE = Service(
    name="org",
    settings=Settings,
    web="org.web",
    listeners=LISTENERS,
    jobs=JOBS,
    migrations=Path(__file__).parent / "migrations",
    upstreams={"billing": "billing_url", "membership": "membership_url"},
)
