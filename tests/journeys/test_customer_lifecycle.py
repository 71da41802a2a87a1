"""The main scenario in distributed mode: the demo against real processes, PostgreSQL and RabbitMQ.

In embedded mode, tests/deploy/test_demo.py runs the same scenario.
"""

import os
import re
import subprocess
import sys

import pytest
from devtools.processes import System

from tests import customers
from tests.deploy.compose.image import is_healthy
from tests.waiting import until


# The forty example customers are loaded in embedded mode too.
@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["--no-load"], id="two lives"),
        pytest.param([], id="two lives among forty customers", marks=pytest.mark.exhaustive),
    ],
)
def test_customer_lifecycle(system: System, words: list[str]) -> None:
    demo = subprocess.run(
        [sys.executable, "-m", "devtools", "demo", "--base-url", system.address, *words],
        text=True,
        capture_output=True,
        env=os.environ
        | {
            "CLIENTELE_ADMIN_EMAIL": "admin@example.com",
            "CLIENTELE_ADMIN_PASSWORD": system.password,
            "MAIL_DIR": str(system.mail),
        },
        check=False,
        timeout=600,
    )

    assert demo.returncode == 0, demo.stdout[-3000:] + demo.stderr[-2000:]


def test_every_web_role_logs_request_ids(system: System) -> None:
    api = customers.sign_in_as_admin(system.address, system.password)
    customers.open_customer(api)

    for name in ("org-web", "billing-web", "membership-web", "gateway-web"):
        assert re.search(r'"request_id": "evt_', system.log(name)), name


def test_secrets_stay_out_of_logs(system: System) -> None:
    customers.sign_in_as_admin(system.address, system.password)

    for name in system.names:
        assert system.password not in system.log(name), name
        assert "eyJ0eXAi" not in system.log(name), name


def test_every_role_passes_the_health_check_of_its_container(system: System) -> None:
    def not_ready() -> list[str]:
        return [name for name in system.names if not is_healthy(system.readiness_file(name))]

    until(lambda: not not_ready(), state=not_ready)


def test_a_stopped_service_is_503_and_recovers(system: System) -> None:
    api = customers.sign_in_as_admin(system.address, system.password)
    path = customers.open_customer(api)

    system.stop(["billing-web"])
    try:
        down = api._once("GET", f"{path}/account", None, {"Authorization": f"Bearer {api._token}"})
        ready = api._once("GET", "/readyz", None, {})
    finally:
        system.start(["billing-web"])

    assert (down.status, down.body["code"], down.retry_after) == (503, "service_unavailable", 1.0)
    assert ready.status == 503
    until(lambda: api.call("GET", f"{path}/account").status == 200)


def test_a_suspension_takes_effect_everywhere_soon(system: System) -> None:
    api = customers.sign_in_as_admin(system.address, system.password)
    path = customers.open_customer(api)
    customers.transact(api, path, "top-ups", "10.00")

    api.call("POST", f"{path}/suspend", {"reason": "not paid"})

    refused = until(
        lambda: (a := customers.transact(api, path, "charges", "0.01")).status == 409 and a
    )
    assert refused.body["code"] == "account_frozen"
    assert api.call("POST", f"{path}/activate", {}, wait=10).body["status"] == "active"
    assert customers.transact(api, path, "charges", "0.01").status == 201
