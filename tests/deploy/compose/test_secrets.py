"""The script that makes and replaces secrets."""

import base64
import hashlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from contracts import OUTSIDERS
from devtools.servers import rabbitmq

from tests.deploy.compose.conftest import make
from tests.deploy.compose.files import COMPOSE, DATA_SERVICES, ROOT, SERVICES


def test_the_secrets_are_those_that_compose_needs(secrets: Path) -> None:
    wanted = {
        secret["file"].removeprefix("deploy/secrets/") for secret in COMPOSE["secrets"].values()
    }
    made = {file.name for file in secrets.iterdir()}
    assert wanted <= made
    outside = {f"{user}_broker_url" for user in OUTSIDERS}
    assert outside <= made - wanted, "their operators receive these by hand"
    assert all(
        name == ".gitignore" or name.endswith("_broker_password")
        for name in made - wanted - outside
    )
    assert wanted == {
        name for service in SERVICES.values() for name in service.get("secrets", [])
    } | {"admin_password"}
    assert wanted == COMPOSE["secrets"].keys()


def test_secrets_are_closed_to_others_and_made_once(secrets: Path) -> None:
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in secrets.iterdir()} == {0o444}
    before = {file.name: file.read_text() for file in secrets.iterdir()}
    assert make(secrets).endswith(": 0 made\n")
    assert before == {file.name: file.read_text() for file in secrets.iterdir()}
    passwords = [text for name, text in before.items() if name.endswith(("password", "secret"))]
    assert len(set(passwords)) == len(passwords) and all(len(text) == 64 for text in passwords)


def test_derived_secrets_match(secrets: Path) -> None:
    read = {file.name: file.read_text() for file in secrets.iterdir()}
    for name in ("gateway", "org"):
        digest = hashlib.sha256(read[f"{name}_internal_secret"].encode()).hexdigest()
        assert f"{name}={digest}" in read["billing_internal_callers"].split(",")
    password = read["org_app_password"]
    assert (
        read["org_app_database_url"] == f"postgresql+psycopg://org_app:{password}@postgres:5432/org"
    )
    assert read["signing_key"].startswith("-----BEGIN PRIVATE KEY-----")
    definitions = json.loads(read["broker_definitions"])
    rights = {right["user"]: right for right in definitions["permissions"]}
    for user in ("admin", *DATA_SERVICES, *OUTSIDERS):
        assert (
            read[f"{user}_broker_url"]
            == f"amqp://{user}:{read[f'{user}_broker_password']}@broker:5672/clientele"
        )
    assert {user: rights[user]["configure"] for user in ("admin", "org", *OUTSIDERS)} == {
        "admin": ".*",
        "org": r"^org\.(inbox|inbox\.[0-9]+\.[0-9]+)$",
        **dict.fromkeys(OUTSIDERS, "^$"),
    }
    tried = rabbitmq.definitions(dict.fromkeys((*DATA_SERVICES, *OUTSIDERS), ""))["permissions"]
    assert [rights[right["user"]] for right in tried] == tried, "the rights that the tests run with"
    assert {user["name"] for user in definitions["users"]} == {"admin", *DATA_SERVICES, *OUTSIDERS}
    for user in definitions["users"]:
        assert "password" not in user
        assert user["tags"] == (["policymaker"] if user["name"] == "admin" else [])
        salted = base64.b64decode(user["password_hash"])
        password = read[f"{user['name']}_broker_password"].encode()
        assert salted[4:] == hashlib.sha256(salted[:4] + password).digest()


def secrets_module() -> Any:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("deploy_secrets", ROOT / "deploy/secrets.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_secret_is_replaced_in_three_steps(secrets: Path) -> None:
    module = secrets_module()

    def files(name: str) -> tuple[str, str]:
        return (secrets / name).read_text(), (secrets / f"previous_{name}").read_text()

    for name in ("signing_key", "pepper"):
        old = files(name)[0]
        with pytest.raises(module.Missing, match="prepare first"):
            module.replace(secrets, "swap", name)
        module.replace(secrets, "prepare", name)
        current, new = files(name)
        assert current == old and new not in ("", old)
        with pytest.raises(module.Missing, match="swap or withdraw"):
            module.replace(secrets, "prepare", name)
        module.replace(secrets, "swap", name)
        assert files(name) == (new, old)
        module.replace(secrets, "withdraw", name)
        assert files(name) == (new, "")
    assert {file.stat().st_mode & 0o777 for file in secrets.iterdir()} == {0o444}


def test_a_signing_key_without_openssl(monkeypatch: pytest.MonkeyPatch) -> None:
    module = secrets_module()
    monkeypatch.setattr(module.shutil, "which", lambda _: None)
    assert module.signing_key().startswith("-----BEGIN PRIVATE KEY-----")
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives", None)
    with pytest.raises(module.Missing, match="openssl"):
        module.signing_key()


def test_secrets_never_reach_the_repository() -> None:
    assert "deploy/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_a_certificate_without_openssl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = secrets_module()
    monkeypatch.setattr(module.shutil, "which", lambda _: None)

    with pytest.raises(module.Missing, match="tls_certificate"):
        module.main(tmp_path / "secrets")

    (tmp_path / "secrets/tls_certificate").write_text("our own")
    module.main(tmp_path / "secrets")
    assert (tmp_path / "secrets/tls_certificate").read_text() == "our own"
