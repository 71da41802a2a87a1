"""Programs with API keys at the public address, including the example that is shipped."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from chassis.runtime import clock
from devtools.demo.api import Answer, Api

from tests import customers
from tests.embedded import Embedded
from tests.waiting import until

AT = clock.stamp(clock.now())

ROOT = Path(__file__).parents[2]


class Program(Api):
    """A client with an API key instead of a password."""

    def __init__(self, address: str, key: str) -> None:
        super().__init__(address)
        self.exchanged = self.call("POST", "/v1/sessions", {"api_key": key})
        self._token = self.exchanged.body.get("access_token", "")


class Scene:
    """The embedded system with a customer in it."""

    def __init__(self, system: Embedded) -> None:
        self.system = system
        self.api = customers.sign_in_as_admin(system.address, system.password)
        self.path = customers.open_customer(self.api)
        self.organization_id = self.path.rpartition("/")[2]
        customers.transact(self.api, self.path, "top-ups", "10.00")

    def key(self, *scopes: str, api: Api | None = None) -> dict[str, str]:
        made = (api or self.api).call("POST", "/v1/api-keys", {"name": "Program", "scopes": scopes})
        assert made.status == 201, made
        return made.body

    def program(self, *scopes: str, api: Api | None = None) -> Program:
        made = Program(self.system.address, self.key(*scopes, api=api)["api_key"])
        assert made.exchanged.status == 201, made.exchanged
        return made

    def owner(self) -> Api:
        """The customer's owner, signed in."""
        address = self.api.call("GET", self.path).body["owner"]["email"]
        mails = lambda: [f.read_text() for f in (self.system.folder / "var/mail").glob("*.eml")]
        text = until(
            lambda: next((m for m in mails() if f"To: {address}" in m and "/verify/" in m), None)
        )
        token = text.partition("/verify/")[2].split()[0]
        owner = Api(self.system.address)
        assert (
            owner.call(
                "POST", f"/v1/verifications/{token}", {"password": "four calm otters drift"}
            ).status
            == 201
        )
        assert owner.sign_in(address, "four calm otters drift").status == 201
        return owner


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    system = Embedded(tmp_path_factory.mktemp("embedded"))
    system.start()
    try:
        yield Scene(system)
    finally:
        system.kill()


def usage(scene: Scene, who: Api, key: str) -> Answer:
    record = {
        "id": key,
        "organization_id": scene.organization_id,
        "amount": "0.01",
        "at": AT,
        "description": "Calls",
    }
    return who.call("POST", "/v1/usage", {"records": [record]}, key=key)


def test_a_providers_key_can_do_what_its_scopes_allow(scene: Scene) -> None:
    rating, reader = scene.program("usage:write"), scene.program("cust:list", "pay:read")

    key = secrets.token_hex(8)
    first, again = usage(scene, rating, key), usage(scene, rating, key)
    assert first.status < 300 and again.replayed and again.body == first.body
    assert usage(scene, reader, secrets.token_hex(8)).status == 403
    listed = reader.call("GET", "/v1/organizations")
    assert scene.organization_id in [row["id"] for row in listed.body["data"]]
    assert reader.call("GET", f"{scene.path}/account").status == 200
    assert (
        rating.call("GET", "/v1/organizations").status
        == rating.call("GET", f"{scene.path}/account").status
        == 403
    )
    audit = lambda: scene.api.call("GET", f"{scene.path}/audit?limit=100").body["data"]
    denied = until(lambda: [row for row in audit() if row["outcome"] == "denied"])
    assert denied[0]["actor"]["kind"] == "api_key" and denied[0]["actor"]["label"] == "Program"


def test_a_customers_key_reads_only_its_own_account(scene: Scene) -> None:
    program = scene.program("credits:read", api=scene.owner())
    other = customers.open_customer(scene.api)

    assert program.call("GET", f"{scene.path}/account").status == 200
    assert (
        program.call("GET", f"{other}/account").status
        == program.call("GET", f"{other}/members").status
        == 404
    )
    assert program.call("GET", scene.path).status == 403
    assert customers.transact(program, scene.path, "top-ups", "1.00").status == 403


def test_a_deleted_key_is_soon_refused(scene: Scene) -> None:
    made = scene.key("cust:list")
    program = Program(scene.system.address, made["api_key"])
    assert program.call("GET", "/v1/organizations").status == 200

    assert scene.api.call("DELETE", f"/v1/api-keys/{made['id']}").status == 204

    refused = until(lambda: (a := program.call("GET", "/v1/organizations")).status == 401 and a)
    assert refused.body["code"] == "token_revoked"
    assert Program(scene.system.address, made["api_key"]).exchanged.status == 401


def test_the_example_runs(scene: Scene, tmp_path: Path) -> None:
    desk = scene.api.call(
        "POST", f"{scene.path}/members", {"name": "Front desk", "portal_access": False}
    ).body
    file = tmp_path / "key"
    file.write_text(scene.key("pin:verify")["api_key"] + "\n")
    lines = [
        f"{scene.organization_id} {desk['extension']} {pin}" for pin in (desk["pin"], "000000")
    ]

    run = subprocess.run(
        [sys.executable, ROOT / "examples" / "verify_pin.py", scene.system.address],
        text=True,
        capture_output=True,
        input="\n".join(lines),
        env=os.environ | {"CLIENTELE_API_KEY_FILE": str(file)},
        check=False,
        timeout=300,
    )

    assert run.returncode == 0, run.stderr
    where = f"{scene.organization_id} {desk['extension']}"
    assert run.stdout.splitlines() == [f"{where} right", f"{where} wrong"]
    assert (
        "clk_" not in scene.system.log.read_text()
        and desk["pin"] not in scene.system.log.read_text()
    )


def test_the_example_reports_a_refusal(scene: Scene) -> None:
    run = subprocess.run(
        [sys.executable, ROOT / "examples" / "verify_pin.py", scene.system.address],
        text=True,
        capture_output=True,
        input=f"{scene.organization_id} 100 123456\n",
        env=os.environ | {"CLIENTELE_API_KEY": "clk_wrong"},
        check=False,
        timeout=300,
    )

    assert "401 invalid_credentials" in run.stdout
