"""Whose access ends in which way, and how long the gateway goes on believing their token."""

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

PASSWORD = "four calm otters drift"
EVERY = 0.02


@dataclass(frozen=True)
class Ending:
    """One way in which access ends. ``begin`` makes a living token; ``end`` answers once the change is acknowledged;
    ``after`` puts back what the next time needs. ``is_rationed``: only a few may be begun in an hour."""

    name: str
    begin: Callable[[], str]
    end: Callable[[], None]
    after: Callable[[], None] = lambda: None
    is_rationed: bool = False


class Stage:
    """A customer with an owner and two members, the provider's administrator, and customers to
    suspend and to remove members of: without a broker none is opened, nor activated again.
    ``times``: how often each way is gone at most."""

    def __init__(self, system: System, *, times: int) -> None:
        self.system = system
        self.staff: Api = customers.signed_in(system.address, system.password)
        assert self.staff.call("PATCH", "/v1/settings", {"managed_service": True}).status == 200
        self.path = customers.open_customer(self.staff, managed_by="provider")
        self._pool = urllib3.PoolManager(retries=False, timeout=10.0)
        self._passed: dict[str, Any] = {}
        owner = self._owner(self.path)
        self._customers = [(path, self._owner(path)) for path in self._opened(times)]
        # Nobody may invite more than twenty people in an hour.
        self._homes = itertools.cycle(
            [(path, self._owner(path)) for path in self._opened(1 + times // 20)]
        )
        self._owners = [(self._id_of(owner), owner), self._member(self.path, owner)]
        self._other = self._member(self.path, owner)

    def endings(self) -> list[Ending]:
        """Every way there is."""
        return [
            Ending(
                "organization suspended",
                lambda: self._log_in(self._customers[-1][1]),
                self._suspend,
            ),
            Ending(
                "member disabled",
                lambda: self._log_in(self._other[1]),
                lambda: self._on_other("disable"),
                lambda: self._on_other("enable"),
            ),
            Ending("member removed", self._newcomer, self._remove),
            Ending("signed out", self._signed_in, self._sign_out),
            Ending(
                "ownership transferred", lambda: self._log_in(self._owners[0][1]), self._transfer
            ),
            Ending("support grant ended", self._entered, lambda: self._leave("grant")),
            Ending(
                "Login As ended", self._stepped_in, lambda: self._leave("session"), is_rationed=True
            ),
        ]

    def seconds(self, ending: Ending, *, at_most: float = 60) -> float:
        """From the acknowledged change to the first refusal at the gateway. Fails when the token is
        still accepted after ``at_most``, long before it would expire."""
        token = ending.begin()
        customers.eventually(lambda: self._me(token)[0] == 200)
        ending.end()
        began = time.monotonic()
        while (found := self._me(token))[0] == 200:
            assert time.monotonic() - began < at_most, f"{ending.name}: still believed"
            time.sleep(EVERY)
        took = time.monotonic() - began
        assert found[0] == 401, found
        ending.after()
        return took

    def _me(self, token: str) -> tuple[int, bytes]:
        answer = self._pool.request(
            "GET", f"{self.system.address}/v1/me", headers={"Authorization": f"Bearer {token}"}
        )
        return answer.status, answer.data

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        key = secrets.token_hex(8) if method == "POST" else None
        answer = self.staff.call(method, f"{self.path}{path}", body, key=key)
        assert answer.status < 300, answer
        return answer.body

    def _log_in(self, address: str) -> str:
        api = Api(self.system.address)
        answer = customers.eventually(
            lambda: (a := api.sign_in(address, PASSWORD)).status == 201 and a, every=0.2
        )
        return str(answer.body["access_token"])

    def _opened(self, count: int) -> list[str]:
        return [customers.open_customer(self.staff) for _ in range(count)]

    def _owner(self, path: str) -> str:
        address = str(self.staff.call("GET", path).body["owner"]["email"])
        self._accept(address)
        return address

    def _accept(self, address: str) -> None:
        token = customers.eventually(lambda: self._mailed(address))
        answer = Api(self.system.address).call(
            "POST", f"/v1/verifications/{token}", {"password": PASSWORD}
        )
        assert answer.status == 201, answer

    def _mailed(self, address: str) -> str:
        texts = (_text(path) for path in self.system.mail.glob("*.eml"))
        found = (re.search(r"/verify/(\S+)", text) for text in texts if f"To: {address}" in text)
        return next((match[1] for match in found if match), "")

    def _member(self, path: str, owner: str) -> tuple[str, str]:
        """A member whom the owner has invited and who has accepted."""
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
        answer = self.staff.call(
            "POST", f"{path}/suspend", {"reason": "a measurement"}, key=secrets.token_hex(8)
        )
        assert answer.status < 300, answer

    def _on_other(self, verb: str) -> None:
        self._ask("POST", f"/members/{self._other[0]}/{verb}", {})

    def _newcomer(self) -> str:
        path, owner = next(self._homes)
        member, address = self._member(path, owner)
        self._passed["newcomer"] = f"{path}/members/{member}"
        return self._log_in(address)

    def _remove(self) -> None:
        answer = self.staff.call("DELETE", self._passed["newcomer"])
        assert answer.status < 300, answer

    def _signed_in(self) -> str:
        self._passed["token"] = token = self._log_in(self._other[1])
        return token

    def _sign_out(self) -> None:
        headers = {"Authorization": f"Bearer {self._passed['token']}"}
        answer = self._pool.request(
            "DELETE", f"{self.system.address}/v1/sessions/current", headers=headers
        )
        assert answer.status == 204

    def _transfer(self) -> None:
        self._owners.reverse()
        self._ask(
            "POST",
            "/ownership-transfers",
            {"member_id": self._owners[0][0], "reason": "a measurement"},
        )

    def _entered(self) -> str:
        grant = self._ask("POST", "/remote-support", {"reason": "a measurement"})
        assert grant["status"] == "active"
        self._passed["grant"] = grant["id"]
        return str(self._ask("POST", f"/remote-support/{grant['id']}/enter", {})["access_token"])

    def _stepped_in(self) -> str:
        tokens = self._ask(
            "POST", f"/members/{self._other[0]}/login-as", {"reason": "a measurement"}
        )
        self._passed["session"] = self._ask("GET", "/remote-support")["inside"][0]["id"]
        return str(tokens["access_token"])

    def _leave(self, what: str) -> None:
        self._ask("DELETE", f"/remote-support/{self._passed[what]}")


def _text(path: Path) -> str:
    return path.read_text(errors="replace")
