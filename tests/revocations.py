"""The ways in which access ends, and how long the gateway still accepts the token."""

import itertools
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
from devtools.demo.api import Api
from devtools.processes import System

from tests import customers
from tests.waiting import until

PASSWORD = "four calm otters drift"
POLL_INTERVAL = 0.02


@dataclass(frozen=True)
class AccessEnd:
    """A way in which access ends.

    ``begin`` returns a valid token; ``end`` returns once the change is acknowledged; ``after``
    restores what the next run needs. ``is_rationed``: only a few are allowed per hour."""

    name: str
    begin: Callable[[], str]
    end: Callable[[], None]
    after: Callable[[], None] = lambda: None
    is_rationed: bool = False


class Scene:
    """A customer with an owner and two members, the provider's administrator, and customers to
    suspend and to remove members from: without a broker none can be created or activated.
    ``times``: how often each way is used at most."""

    def __init__(self, system: System, *, times: int) -> None:
        self.system = system
        self.staff: Api = customers.sign_in_as_admin(system.address, system.password)
        assert self.staff.call("PATCH", "/v1/settings", {"managed_service": True}).status == 200
        self.path = customers.open_customer(self.staff, managed_by="provider")
        self._pool = urllib3.PoolManager(retries=False, timeout=60.0)
        self._kept: dict[str, Any] = {}
        owner = self._owner(self.path)
        self._customers = [(path, self._owner(path)) for path in self._opened(times)]
        # An owner can invite at most twenty people an hour.
        self._inviting = itertools.cycle(
            [(path, self._owner(path)) for path in self._opened(1 + times // 20)]
        )
        self._owners = [(self._id_of(owner), owner), self._member(self.path, owner)]
        self._other = self._member(self.path, owner)

    def endings(self) -> list[AccessEnd]:
        """All of them."""
        return [
            AccessEnd(
                "organization suspended",
                lambda: self._log_in(self._customers[-1][1]),
                self._suspend,
            ),
            AccessEnd(
                "member disabled",
                lambda: self._log_in(self._other[1]),
                lambda: self._on_other("disable"),
                lambda: self._on_other("enable"),
            ),
            AccessEnd("member removed", self._newcomer, self._remove),
            AccessEnd("signed out", self._signed_in, self._sign_out),
            AccessEnd(
                "ownership transferred", lambda: self._log_in(self._owners[0][1]), self._transfer
            ),
            AccessEnd("support grant ended", self._support_entered, lambda: self._leave("grant")),
            AccessEnd(
                "Login As ended",
                self._logged_in_as,
                lambda: self._leave("session"),
                is_rationed=True,
            ),
        ]

    def seconds_until_refused(self, ending: AccessEnd, *, at_most: float = 60) -> float:
        """Seconds from the acknowledged change to the first refusal by the gateway. Fails when
        the token is still accepted after ``at_most``, long before it would expire."""
        token = ending.begin()
        until(lambda: self._me(token)[0] == 200)
        ending.end()
        began = time.monotonic()
        while (response := self._me(token))[0] == 200:
            assert time.monotonic() - began < at_most, f"{ending.name}: still accepted"
            time.sleep(POLL_INTERVAL)
        took = time.monotonic() - began
        assert response[0] == 401, response
        ending.after()
        return took

    def _me(self, token: str) -> tuple[int, bytes]:
        response = self._pool.request(
            "GET", f"{self.system.address}/v1/me", headers={"Authorization": f"Bearer {token}"}
        )
        return response.status, response.data

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        key = secrets.token_hex(8) if method == "POST" else None
        response = self.staff.call(method, f"{self.path}{path}", body, key=key)
        assert response.status < 300, response
        return response.body

    def _log_in(self, address: str) -> str:
        api = Api(self.system.address)
        response = until(
            lambda: (a := api.sign_in(address, PASSWORD)).status == 201 and a, every=0.2
        )
        return str(response.body["access_token"])

    def _opened(self, count: int) -> list[str]:
        return [customers.open_customer(self.staff) for _ in range(count)]

    def _owner(self, path: str) -> str:
        address = str(self.staff.call("GET", path).body["owner"]["email"])
        self._accept(address)
        return address

    def _accept(self, address: str) -> None:
        token = until(lambda: self._mailed(address))
        response = Api(self.system.address).call(
            "POST", f"/v1/verifications/{token}", {"password": PASSWORD}
        )
        assert response.status == 201, response

    def _mailed(self, address: str) -> str:
        texts = (_text(path) for path in self.system.mail.glob("*.eml"))
        matches = (re.search(r"/verify/(\S+)", text) for text in texts if f"To: {address}" in text)
        return next((match[1] for match in matches if match), "")

    def _member(self, path: str, owner: str) -> tuple[str, str]:
        """Invite a member and accept; returns their id and email."""
        api, address = Api(self.system.address), f"member-{secrets.token_hex(6)}@customer.example"
        assert api.sign_in(owner, PASSWORD).status == 201
        body = {
            "given_name": "Mo",
            "family_name": "Member",
            "email": address,
            "portal_access": True,
            "role": "member",
        }
        made = api.call("POST", f"{path}/members", body, key=secrets.token_hex(8))
        assert made.status == 201, made
        self._accept(address)
        return str(made.body["id"]), address

    def _id_of(self, address: str) -> str:
        return next(
            str(m["id"]) for m in self._ask("GET", "/members")["data"] if m["email"] == address
        )

    def _suspend(self) -> None:
        path, _ = self._customers.pop()
        response = self.staff.call(
            "POST", f"{path}/suspend", {"reason": "a measurement"}, key=secrets.token_hex(8)
        )
        assert response.status < 300, response

    def _on_other(self, verb: str) -> None:
        self._ask("POST", f"/members/{self._other[0]}/{verb}", {})

    def _newcomer(self) -> str:
        path, owner = next(self._inviting)
        member, address = self._member(path, owner)
        self._kept["newcomer"] = f"{path}/members/{member}"
        return self._log_in(address)

    def _remove(self) -> None:
        response = self.staff.call("DELETE", self._kept["newcomer"])
        assert response.status < 300, response

    def _signed_in(self) -> str:
        self._kept["token"] = token = self._log_in(self._other[1])
        return token

    def _sign_out(self) -> None:
        headers = {"Authorization": f"Bearer {self._kept['token']}"}
        response = self._pool.request(
            "DELETE", f"{self.system.address}/v1/sessions/current", headers=headers
        )
        assert response.status == 204

    def _transfer(self) -> None:
        self._owners.reverse()
        self._ask(
            "POST",
            "/ownership-transfers",
            {"member_id": self._owners[0][0], "reason": "a measurement"},
        )

    def _support_entered(self) -> str:
        grant = self._ask("POST", "/remote-support", {"reason": "a measurement"})
        assert grant["status"] == "active"
        self._kept["grant"] = grant["id"]
        return str(self._ask("POST", f"/remote-support/{grant['id']}/enter", {})["access_token"])

    def _logged_in_as(self) -> str:
        tokens = self._ask(
            "POST", f"/members/{self._other[0]}/login-as", {"reason": "a measurement"}
        )
        self._kept["session"] = self._ask("GET", "/remote-support")["inside"][0]["id"]
        return str(tokens["access_token"])

    def _leave(self, what: str) -> None:
        self._ask("DELETE", f"/remote-support/{self._kept[what]}")


def _text(path: Path) -> str:
    return path.read_text(errors="replace")
