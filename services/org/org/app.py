"""Org's service definition, and its own command."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from chassis.errors import Failure
from chassis.runtime import log, notifications, roles
from chassis.runtime.service import Service
from chassis.runtime.settings import Misconfigured, load

from org.config import Settings
from org.jobs import JOBS, reconcile_now
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


def reconcile_command(options: Sequence[str]) -> None:
    """``python -m org reconcile``: compare all organizations with billing and membership now, and
    print what is left of the differences. ``--repair`` also opens accounts and access again where
    org's status says so. Exits with 1 if there are any differences."""
    if options not in ([], ["--repair"]):
        sys.exit(
            "usage: python -m org reconcile [--repair]\n"
            "--repair also opens accounts and access again where org's status says so; first look"
            " at what reconcile prints without it, and do not use it if org was restored from a"
            " backup and its status is the wrong one"
        )
    log.start(service="org", role="reconcile")
    try:
        settings = load(Settings, "tick")
        transports = roles.transports(SERVICE, settings)
        database = notifications.database(settings.database_url, 2)
        wait = lambda: time.sleep(1)
        left = reconcile_now(database, settings, transports, wait, may_reopen=bool(options))
    except (Misconfigured, Failure) as problem:
        sys.exit(f"org reconcile: {problem}")
    for line in left:
        print(line)  # noqa: T201 - the command's output
    print(f"{len(left)} differences")  # noqa: T201 - the command's output
    sys.exit(1 if left else 0)
