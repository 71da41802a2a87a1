"""Our services, each called directly: billing for accounts, org for the list."""

import secrets
from pathlib import Path

from billing.models import Entry
from chassis.db.database import Database
from chassis.runtime import clock, ids
from devtools.processes import System
from sqlalchemy import func, select

from tests.bench.ledger import load
from tests.bench.ledger.environment import open_accounts, provider_of, sign_in
from tests.bench.messages.environment import add_organizations
from tests.bench.peers.measuring import Requests

ROLES = ("membership-web", "billing-web", "org-web")
SCRIPT = Path(__file__).with_name("requests.lua")


class Ours:
    """Accounts of ``count`` prepaid customers of one provider. All requests have a token; those
    that post have a key, too."""

    def __init__(self, system: System, folder: Path, count: int) -> None:
        self._system, self._organizations = system, folder / "organizations"
        self._billing = Database(system.database_url("billing"), pool_size=1)
        provider_id = provider_of(sign_in(system))
        organizations = [ids.new("org") for _ in range(count)]
        self._organizations.write_text("\n".join(organizations) + "\n")
        open_accounts(self._billing, provider_id, organizations, "prepaid", clock.now())
        org = Database(system.database_url("org"), pool_size=1)
        add_organizations(org, provider_id, organizations)
        org.close()
        self.databases = [each.url.rpartition("/")[2] for each in (self._billing, org)]

    def posted(self) -> int:
        """The number of charges in the journal."""
        with self._billing.reading() as session:
            return session.scalars(select(func.count()).select_from(Entry)).one()

    def charge(self) -> Requests:
        """One charge a request."""
        return self._posts(0)

    def records(self, size: int) -> Requests:
        """Records of usage, one a customer."""
        return self._posts(size)

    def account(self) -> Requests:
        """The account with its figures and terms."""
        return self._reads("billing", "/v1/organizations/%s/account")

    def page(self) -> Requests:
        """Customers by name, with their figures and what needs attention."""
        return self._reads("org", "/v1/organizations?limit=50")

    def _posts(self, items: int) -> Requests:
        token, run = sign_in(self._system), secrets.token_hex(4)
        return Requests(
            self._system.pid("billing-web"),
            self._system.url_of("billing"),
            load.WEB,
            [token, str(self._organizations), str(items), run],
            max(items, 1),
            self.posted,
        )

    def _reads(self, service: str, path: str) -> Requests:
        return Requests(
            self._system.pid(f"{service}-web"),
            self._system.url_of(service),
            SCRIPT,
            [path, str(self._organizations), sign_in(self._system)],
            0,
            self.posted,
        )
