"""A provider of its own for each test, with the customers, members and money that the test needs,
created through the API."""

import secrets
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.console.browser import Browser, Page
from tests.console.system import Whole
from tests.identity.system import PASSWORD

T = TypeVar("T")
__all__ = ("PASSWORD", "Customer", "Person", "Provider")


@dataclass(frozen=True)
class Person:
    """A user. ``member``: as the API returns it."""

    email: str
    member: dict[str, Any]

    @property
    def id(self) -> str:
        """The member's id."""
        return str(self.member["id"])

    def sign_in(self, browser: Browser) -> Page:
        """Sign in with a browser."""
        return browser.sign_in(self.email, PASSWORD)


class _Caller:
    """A client of the API on behalf of one user."""

    def __init__(self, system: Whole, email: str) -> None:
        self.system, self.email = system, email
        self._token = ""

    def api(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The result of an API call; messages are delivered before and after. Refusals fail the
        test."""
        step = (self.email, method, path, repr(body), repr(headers))
        return self._once(step, lambda: self._call(method, path, body, headers))

    def _once(self, step: Hashable, take: Callable[[], T]) -> T:
        """Take this step in the preparation of a test, or put back what it led to before."""
        result, self._token = self.system.once(step, lambda: (take(), self._token))
        return result

    def _call(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        response = self._send(method, path, body, headers)
        if response.status_code == 401:
            self._sign_in()
            response = self._send(method, path, body, headers)
        assert response.status_code < 300, (method, path, response.status_code, response.text)
        self.system.settle()
        return response.json if response.text else None

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        if not self._token:
            self._sign_in()
        self.system.settle()
        key = {"Idempotency-Key": secrets.token_hex(8)} if method == "POST" else {}
        with self.system.working():
            return self.system.call(method, path, body, token=self._token, headers=key | headers)

    def _sign_in(self) -> None:
        response = self.system.call(
            "POST",
            "/v1/sessions",
            {"email": self.email, "password": PASSWORD},
            headers={"X-Forwarded-For": "10.255.255.255"},
        )
        assert response.status_code == 201, response.text
        self._token = response.json["access_token"]


def prepare(system: Whole) -> str:
    """Create a provider to which nobody has signed in. Returns the word in its name and
    addresses."""
    word = secrets.token_hex(4)
    system.add_provider(f"Provider {word}", f"boss@{word}.example")
    return word


class Provider(_Caller):
    """Its owner is ``provider.owner``; every user's password is ``PASSWORD``. ``provider.api(...)``
    calls the API as the owner."""

    def __init__(self, system: Whole, word: str = "") -> None:
        """A new one, or the one that was ``prepare``d with this word."""
        self.word = word or prepare(system)
        super().__init__(system, f"boss@{self.word}.example")
        me = self.api("GET", "/v1/me")
        self.id: str = me["organization"]["id"]
        self.owner = Person(self.email, {"id": me["member_id"], "role": "owner"})

    def staff(self, preset: str = "support", *, accept: bool = True) -> Person:
        """A staff member: ``manager``, ``billing``, ``support`` or ``viewer``."""
        body = {"role": "admin"} if preset == "manager" else {"role": "member", "preset": preset}
        return _join(self, self.id, self.word, body, given=preset.title(), accept=accept)

    def customer(
        self,
        name: str = "",
        *,
        credits: str = "",  # noqa: A002 - the word of the API
        accept: bool = True,
        **more: Any,
    ) -> "Customer":
        """An active customer, prepaid in EUR unless ``more`` changes that
        (``payment_mode="postpaid", credit_limit="1000"``, ``currency``, ``country``,
        ``managed_by``, ``demo``…). ``credits``: topped up; ``accept``: whether its owner has set a
        password."""
        step = ("customer", name, credits, accept, repr(more))
        word, made = self._once(step, lambda: self._customer(name, credits, accept, more))
        return Customer(self, made["id"], word, made["email"])

    def _customer(
        self,
        name: str,
        credits: str,  # noqa: A002
        accept: bool,
        more: dict[str, Any],
    ) -> tuple[str, dict[str, str]]:
        word = secrets.token_hex(4)
        body = {
            "name": name or f"Customer {word}",
            "country": "DE",
            "currency": "EUR",
            "timezone": "Europe/Berlin",
            "pricing_model": "app",
            "payment_mode": "prepaid",
            "billing": {"email": f"bills@{word}.example"},
            "owner": {
                "given_name": "Olga",
                "family_name": "Owner",
                "email": f"olga@{word}.example",
            },
            **more,
        }
        made = Customer(
            self, self.api("POST", "/v1/organizations", body)["id"], word, body["owner"]["email"]
        )
        if credits:
            made.money("top-ups", amount=credits, method="cash")
        if accept:
            _accept(self.system, made.email)
        return word, {"id": made.id, "email": made.email}


class Customer(_Caller):
    """A customer. ``customer.api(...)`` calls the API as its owner, ``customer.staff(...)`` as the
    provider's owner. Both take short paths: ``/members`` is ``/v1/organizations/{id}/members``."""

    def __init__(self, provider: Provider, organization_id: str, word: str, owner: str) -> None:
        super().__init__(provider.system, owner)
        self.provider, self.id, self.word = provider, organization_id, word

    def api(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The result of an API call; messages are delivered before and after. Refusals fail the
        test."""
        return super().api(method, self._whole(path), body, **headers)

    def staff(self, method: str, path: str = "", body: Any = None, **headers: str) -> Any:
        """As the provider's owner."""
        return self.provider.api(method, self._whole(path), body, **headers)

    @property
    def owner(self) -> Person:
        """Its owner."""
        return Person(self.email, self.staff("GET", "/members?role=owner")["data"][0])

    @property
    def now(self) -> dict[str, Any]:
        """The organization as staff see it."""
        return dict(self.staff("GET"))

    @property
    def account(self) -> dict[str, Any]:
        """Its account."""
        return dict(self.staff("GET", "/account"))

    def member(self, role: str = "member", *, given: str = "", accept: bool = True) -> Person:
        """A further ``admin`` or ``member`` with portal access."""
        return _join(
            self.provider,
            self.id,
            self.word,
            {"role": role},
            given=given or role.title(),
            accept=accept,
        )

    def loginless(self, name: str = "Front desk") -> dict[str, Any]:
        """A member without portal access; the response holds extension and PIN."""
        return dict(self.staff("POST", "/members", {"name": name, "portal_access": False}))

    def money(self, what: str, **body: Any) -> Any:
        """Move money as staff, such as ``money("charges", amount="10", kind="usage",
        description="calls")``. ``what``: ``top-ups``, ``withdrawals``, ``charges``,
        ``reservations``, ``refunds``, ``adjustments``, ``invoices`` or ``payments``."""
        return self.staff(
            "POST", f"/{what}" if what in ("invoices", "payments") else f"/account/{what}", body
        )

    def suspend(self) -> None:
        """Suspend the organization."""
        self.staff("POST", "/suspend", {"reason": "a test"})

    def activate(self) -> None:
        """Activate it again."""
        self.staff("POST", "/activate", {"reason": "a test"})

    def delete(self) -> None:
        """Schedule its deletion; the account must be empty."""
        self.staff("DELETE", "", {"reason": "a test"})

    def _whole(self, path: str) -> str:
        return path if path.startswith("/v1") else f"/v1/organizations/{self.id}{path}"


def _join(
    by: Provider,
    organization_id: str,
    word: str,
    rank: dict[str, Any],
    *,
    given: str,
    accept: bool,
) -> Person:
    step = ("join", organization_id, word, repr(rank), given, accept)
    take = lambda: _invite(by, organization_id, word, rank, given, accept)
    return Person(*by._once(step, take))


def _invite(
    by: Provider,
    organization_id: str,
    word: str,
    rank: dict[str, Any],
    given: str,
    accept: bool,
) -> tuple[str, dict[str, Any]]:
    address = f"{given.lower()}.{secrets.token_hex(3)}@{word}.example"
    body = {
        "given_name": given,
        "family_name": "Tester",
        "email": address,
        "portal_access": True,
        **rank,
    }
    members = f"/v1/organizations/{organization_id}/members"
    member = by.api("POST", members, body)
    if accept:
        _accept(by.system, address)
        member = by.api("GET", f"{members}/{member['id']}")
    return address, member


def _accept(system: Whole, address: str) -> None:
    token = system.link(address).rpartition("/")[2]
    response = system.call("POST", f"/v1/verifications/{token}", {"password": PASSWORD})
    assert response.status_code == 201, response.text
    system.settle()
