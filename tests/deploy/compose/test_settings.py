"""Settings and secrets that each container gets, held to the registry of services."""

import importlib.util
import os
import re
import subprocess
from pathlib import Path

import pytest
from chassis.auth import internal
from chassis.runtime.settings import load
from clientele import registry

from tests.deploy.compose.conftest import make
from tests.deploy.compose.files import DATA_SERVICES, MOUNTED, OURS, REGISTRY, ROLES, ROOT, SERVICES

SECRET = re.compile(r"SECRET|PASSWORD|KEY|TOKEN|CALLERS|^(DATABASE|BROKER|BROKER_ADMIN|MAIL)_URL")


@pytest.mark.parametrize("service", SERVICES)
def test_secrets_come_as_files(service: str) -> None:
    given, environment = (
        SERVICES[service].get("secrets", []),
        SERVICES[service].get("environment", {}),
    )
    for name, value in environment.items():
        assert not SECRET.search(name) or name.endswith("_FILE"), name
        assert not re.search(r"://[^/]*@", str(value)), name
        if name.endswith("_FILE"):
            assert value.removeprefix(MOUNTED) in given, name
    if service in OURS:
        read = {
            value.removeprefix(MOUNTED)
            for name, value in environment.items()
            if name.endswith("_FILE")
        }
        assert read == set(given), "no container has a secret it does not read"


def test_each_role_gets_only_the_secrets_it_needs() -> None:
    for service in DATA_SERVICES:
        for role in ROLES:
            environment = OURS[f"{service}-{role}"]["environment"]
            login = "owner" if role == "migrate" else "app"
            database = None if role == "topology" else f"{MOUNTED}{service}_{login}_database_url"
            broker = f"{MOUNTED}{service}_broker_url" if role in ("listen", "relay") else None
            admin = f"{MOUNTED}admin_broker_url" if role == "topology" else None
            assert environment.get("DATABASE_URL_FILE") == database
            assert environment.get("BROKER_URL_FILE") == broker
            assert environment.get("BROKER_ADMIN_URL_FILE") == admin
            management = "http://broker:15672" if role == "topology" else None
            assert environment.get("BROKER_MANAGEMENT_URL") == management


def test_each_service_with_a_database_gets_one(tmp_path: Path) -> None:
    """The script that PostgreSQL's image runs on an empty volume, with a psql that only prints."""
    make(tmp_path / "secrets")
    psql = tmp_path / "psql"
    psql.write_text("#!/bin/sh\ncat\n")
    psql.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SECRETS": f"{tmp_path}/secrets"}

    printed = subprocess.run(
        [ROOT / "deploy/postgres/databases.sh"],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    assert sorted(re.findall(r"^\\set name (\w+)$", printed, re.M)) == sorted(
        registry.with_database()
    )
    passwords = re.findall(r"^\\set (?:owner|app)_password `cat .+`$", printed, re.M)
    assert len(passwords) == 2 * len(registry.with_database())


@pytest.mark.parametrize(
    "name",
    sorted(
        OURS.keys()
        - {f"{service}-{role}" for service in DATA_SERVICES for role in ("migrate", "topology")}
        - {"console-migrate"}
    ),
)
def test_every_required_setting_is_present(
    name: str, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings that each service requires, read as in the container."""
    service = name.partition("-")[0]
    for variable in list(os.environ):
        monkeypatch.delenv(variable)
    for variable, value in OURS[name]["environment"].items():
        monkeypatch.setenv(variable, by_default(str(value)).replace(MOUNTED, f"{secrets}/"))
    role = OURS[name]["command"][-1]
    settings = load(importlib.import_module(f"{service}.config").Settings, role)
    read = {
        "database_url": f"{service}_app_database_url",
        "internal_secret": f"{service}_internal_secret"
        if role == "web" or name == "org-tick"
        else "",
        "broker_url": f"{service}_broker_url" if role in ("listen", "relay") else "",
        "signing_key": "signing_key" if role == "web" else "",
        "pepper": "pepper" if role == "web" else "",
        "mail_url": "mail_url" if role == "tick" else "",
        "clientele_admin_password": "admin_password" if role == "bootstrap" else "",
    }
    for field, secret in read.items():
        if hasattr(settings, field):
            wanted = (secrets / secret).read_text().rstrip("\n") if secret else ""
            assert getattr(settings, field) == wanted, field


def by_default(value: str) -> str:
    """The value with nothing set in the environment."""
    while (less := re.sub(r"\$\{\w+:-([^${}]*)}", r"\1", value)) != value:
        value = less
    return value


def test_the_broker_has_the_plugins_that_the_topology_step_needs() -> None:
    file = "./deploy/rabbitmq/enabled_plugins"
    text = (ROOT / file).read_text()

    assert f"{file}:/etc/rabbitmq/enabled_plugins:ro" in SERVICES["broker"]["volumes"]
    assert re.fullmatch(r"\[\w+(, \w+)*\]\.\n", text), "an Erlang term, ended by a full stop"
    assert set(re.findall(r"\w+", text)) == {
        "rabbitmq_consistent_hash_exchange",
        "rabbitmq_management",
    }


def test_each_service_knows_its_internal_callers(secrets: Path) -> None:
    """The code names its callers in `@internal(...)`; their digests must be there."""
    for service in DATA_SERVICES:
        code = "\n".join(file.read_text() for file in (ROOT / "services" / service).rglob("*.py"))
        wanted = {
            name
            for names in re.findall(r"@internal\(([^)]*)\)", code)
            for name in re.findall(r"\w+", names)
        }
        known = internal.parse_callers((secrets / f"{service}_internal_callers").read_text())
        assert wanted | {"gateway"} == known.keys() == set(REGISTRY[service].callers), service
