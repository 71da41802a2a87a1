"""All services in this process, stepped by hand, and org's reconciliation of them."""

from datetime import timedelta
from typing import Any

from billing.models import Account
from chassis.auth.actor import SYSTEM
from chassis.runtime import clock
from clientele import embedded
from membership.models import Organization as Access
from org import jobs, queries, sagas
from org.models import Difference, Organization, ReconciliationPass
from sqlalchemy import func, select

from tests.identity.system import System

Key = tuple[str, str, str]
PREPARED = 14
_JOB = "reconcile"


class Scene:
    """A provider and its customers. ``now``: the time of the job; each pass is a day later."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.now = clock.now()
        system.settle()
        with self.session("org") as session:
            self.provider = session.scalars(select(Organization.id)).one()
        self._prepared = [self.open_customer(number) for number in range(PREPARED)]
        system.settle()

    def begin(self) -> None:
        """A test begins."""
        self.now = clock.now()

    def session(self, service: str) -> Any:
        """A transaction of a service."""
        return self.system.databases[service].transaction()

    def run(self, what: Any, service: str = "org", **how: Any) -> Any:
        """Run an action in a transaction of its own."""
        with self.session(service) as session:
            return what(session, **how)

    def customers(self, count: int) -> list[str]:
        """Active customers."""
        assert count <= PREPARED
        return self._prepared[:count]

    def open_customer(self, number: int) -> str:
        """A customer whose opening has begun."""
        organization: Organization = self.run(
            sagas.start_opening,
            provider_id=self.provider,
            now=clock.now(),
            by=SYSTEM,
            name=f"Customer {number}",
            country="DE",
            currency="EUR",
            timezone="Europe/Berlin",
            pricing_model="app",
            payment_mode="prepaid",
            credit_limit="50.00",
            billing={"email": "bills@acme.example"},
            owner={"given_name": "Olga", "family_name": "Owner", "email": f"o{number}@a.example"},
        )
        return organization.id

    def set_organization(self, organization_id: str, **columns: Any) -> None:
        """Change org's row, bypassing all rules."""
        self._set("org", Organization, organization_id, columns)

    def set_account(self, organization_id: str, **columns: Any) -> None:
        """Change billing's row, bypassing all rules."""
        self._set("billing", Account, organization_id, columns)

    def set_access(self, organization_id: str, **columns: Any) -> None:
        """Change membership's row, bypassing all rules."""
        self._set("membership", Access, organization_id, columns)

    def _set(self, service: str, model: Any, key: str, columns: dict[str, Any]) -> None:
        with self.session(service) as session:
            row = session.get_one(model, key)
            for name, value in columns.items():
                setattr(row, name, value)

    # --- reconciliation

    def step_job(self, **later: float) -> None:
        """Let org's job do its next page, ``later`` (a day by default)."""
        self.now += timedelta(**later or {"hours": 25})
        org = next(each for each in embedded.SERVICES if each.name == "org")
        jobs = org.with_transports(self.system._wires).all_jobs()
        job = next(job for job in jobs if job.name == _JOB)
        job.run(self.system.databases["org"], self.now, self.system.settings["org"])

    def reconcile(self, **later: float) -> None:
        """A whole pass, and everything that follows from it."""
        self.step_job(**later)
        self.system.settle()

    def reconcile_now(self, *, settle: bool = True, may_reopen: bool = False) -> list[str]:
        """The command; everything else is done while it waits, or nothing."""
        wait = self.system.settle if settle else lambda: None
        database, settings = self.system.databases["org"], self.system.settings["org"]
        wires = self.system._wires
        return jobs.reconcile_now(database, settings, wires, wait, may_reopen=may_reopen)

    def checked(self) -> int:
        """How often the services were asked about an organization."""
        with self.system.databases["org"].reading() as session:
            return session.scalar(select(func.sum(ReconciliationPass.checked))) or 0

    def current_pass(self) -> ReconciliationPass:
        """The last pass."""
        with self.system.databases["org"].reading() as session:
            last = select(ReconciliationPass).order_by(ReconciliationPass.id.desc()).limit(1)
            return session.scalars(last).one()

    def differences(self, *, left: bool = True) -> dict[Key, Difference]:
        """Those that are not repaired, or all that there ever were."""
        with self.system.databases["org"].reading() as session:
            rows = queries.differences(session) if left else session.scalars(select(Difference))
            return {(row.organization_id, row.service, row.kind): row for row in rows}
