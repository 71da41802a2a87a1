"""Running systems as users know them: an address, a password, and the emails that arrive."""

import email
import re
import secrets
from dataclasses import dataclass, field
from email import policy
from pathlib import Path
from typing import Any

from devtools.demo.api import Answer, Api

from tests import customers
from tests.waiting import until

ADMIN = "admin@example.com"
PASSWORD = "seven quiet herons nest"


class Staff(Api):
    """The API as the administrator. The same person also signs in with browsers; when that has
    ended the oldest session, which is this one, it signs in again."""

    def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, **options: Any
    ) -> Answer:
        """Send one request, as in Api."""
        answer = super().call(method, path, body, **options)
        if answer.body.get("code") != "token_revoked":
            return answer
        self._renew(self._token)
        return super().call(method, path, body, **options)


@dataclass
class Site:
    """A system. ``address``: of its pages; ``api``: of its API, where that is another one;
    ``states``: the cookies of who has signed in before, so that not every test has to."""

    name: str
    address: str
    password: str
    mails: Path
    api: str = ""
    states: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.api = self.api or self.address
        self.staff = Staff(self.api)
        assert self.staff.sign_in(ADMIN, self.password).status == 201
        # Listeners that a test before this one has killed or stopped may take long to return.
        until(self._settings_are_applied)
        self.provider = str(self.staff.call("GET", "/v1/me").body["organization"]["id"])

    def _settings_are_applied(self) -> bool:
        wanted = {"managed_service": True}
        return self.staff.call("PATCH", "/v1/settings", wanted, wait=10).status == 200

    def open(self, **changes: Any) -> "Customer":
        """Create a customer through the API."""
        wanted = customers.organization(**changes)
        path = customers.open_customer(self.staff, **wanted)
        return Customer(self, path.rsplit("/", 1)[1], wanted["name"], wanted["owner"]["email"])

    def link(self, address: str, kind: str = "verify") -> str:
        """The path in the newest email to this address: ``/verify/...`` or ``/reset/...``."""
        return str(until(lambda: self._newest(address, re.compile(rf"/{kind}/[A-Za-z0-9._~-]+"))))

    def emails(self, address: str) -> list[str]:
        """The emails to this address, newest first."""
        read = [
            email.message_from_bytes(path.read_bytes(), policy=policy.default)
            for path in sorted(self.mails.glob("*.eml"), reverse=True)
        ]
        return [
            str(one.get_body(("plain",)).get_content()) for one in read if address in str(one["To"])
        ]  # type: ignore[union-attr]

    def knows_pin(self, organization: str, extension: str, pin: str) -> bool:
        """Whether the PIN is accepted."""
        made = self.staff.call(
            "POST", "/v1/api-keys", {"name": "desk phones", "scopes": ["pin:verify"]}
        )
        phone = Api(self.api)
        phone._token = phone.call("POST", "/v1/sessions", {"api_key": made.body["api_key"]}).body[
            "access_token"
        ]
        body = {"organization_id": organization, "extension": extension, "pin": pin}
        return bool(phone.call("POST", "/v1/pins/verify", body).body["valid"])

    def join(self, address: str) -> Api:
        """Accept the invitation to this address, and sign in."""
        token = self.link(address).rpartition("/")[2]
        api = Api(self.api)
        assert api.call("POST", f"/v1/verifications/{token}", {"password": PASSWORD}).status == 201
        assert api.sign_in(address, PASSWORD).status == 201
        return api

    def _newest(self, address: str, link: re.Pattern[str]) -> str:
        return next((match[0] for text in self.emails(address) if (match := link.search(text))), "")


@dataclass
class Customer:
    """A customer organization of a site."""

    site: Site
    id: str
    name: str
    owner: str

    @property
    def path(self) -> str:
        """The customer's path in the API."""
        return f"/v1/organizations/{self.id}"

    def get(self, below: str = "") -> Any:
        """GET from the API."""
        return self.site.staff.call("GET", f"{self.path}{below}").body

    def post(self, below: str, body: dict[str, Any] | None = None, *, status: int = 201) -> Any:
        """POST to the API."""
        response = self.site.staff.call(
            "POST", f"{self.path}{below}", body or {}, key=secrets.token_hex(8), wait=10
        )
        assert response.status == status, response
        return response.body

    def patch(self, below: str, body: dict[str, Any]) -> Any:
        """PATCH to the API."""
        response = self.site.staff.call("PATCH", f"{self.path}{below}", body, wait=10)
        assert response.status == 200, response
        return response.body

    def top_up(self, amount: str) -> None:
        """Top up its account."""
        self.post("/account/top-ups", {"amount": amount, "method": "cash"})

    def charge(self, amount: str) -> None:
        """Charge its account."""
        self.post("/account/charges", {"amount": amount, "kind": "one_off", "description": "Calls"})

    def member(self, *, verified: bool = True, **changes: Any) -> dict[str, Any]:
        """A further member with portal access."""
        tag = secrets.token_hex(4)
        body = {
            "given_name": "Grace",
            "family_name": f"Hopper {tag}",
            "email": f"grace-{tag}@customer.example",
            "role": "admin",
            "portal_access": True,
            **changes,
        }
        made: dict[str, Any] = self.post("/members", body)
        if verified:
            self.site.join(body["email"])
        return made
