"""TLS between the containers: deploy/compose.tls.yml next to docker-compose.yml."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.compose.files import MOUNTED, OURS, ROOT, SERVICES

TLS: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.tls.yml").read_text())
CHANGED: dict[str, dict[str, Any]] = TLS["services"]


def environment(name: str) -> dict[str, Any]:
    """The environment of a container with both files, as Compose merges them."""
    return {**SERVICES[name]["environment"], **CHANGED[name]["environment"]}


def is_web(name: str) -> bool:
    return name == "gateway" or name.endswith(("-web", "-downloads"))


def test_every_container_has_its_part() -> None:
    assert CHANGED.keys() == SERVICES.keys()


@pytest.mark.parametrize("name", sorted(OURS))
def test_nothing_is_called_without_tls(name: str) -> None:
    settings, mounted = environment(name), {*CHANGED[name]["secrets"], *SERVICES[name]["secrets"]}

    assert settings["PGSSLMODE"] == "verify-full"
    assert not [value for value in settings.values() if str(value).startswith("http://")]
    brokers = [v for k, v in settings.items() if k in ("BROKER_URL_FILE", "BROKER_ADMIN_URL_FILE")]
    assert all(value.endswith("_broker_tls_url") for value in brokers)
    assert ("BROKER_MANAGEMENT_URL" in settings) == name.endswith("-topology")
    assert ("TLS_CERTIFICATE" in settings) == is_web(name)
    for variable in ("PGSSLROOTCERT", "TLS_AUTHORITIES", "TLS_CERTIFICATE"):
        assert variable not in settings or settings[variable].removeprefix(MOUNTED) in mounted
    certificates = {secret for secret in mounted if secret.endswith("_tls")}
    assert certificates == ({f"{name.partition('-')[0]}_tls"} if is_web(name) else set())


def test_the_script_makes_what_is_mounted_and_keeps_it(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "deploy/secrets.py")]
    folder = tmp_path / "secrets"
    subprocess.run([*script, str(folder)], check=True, capture_output=True)
    before = {file.name for file in folder.iterdir()}
    for _ in range(2):
        subprocess.run([*script, "tls", str(folder)], check=True, capture_output=True)
        made = {file.name: file.read_text() for file in folder.iterdir() if file.name not in before}

    assert TLS["secrets"].keys() == made.keys() - {"tls_authority_key", "usage_broker_tls_url"}
    assert {f"deploy/secrets/{name}" for name in TLS["secrets"]} == {
        secret["file"] for secret in TLS["secrets"].values()
    }
    plain = (folder / "org_broker_url").read_text()
    assert made["org_broker_tls_url"] == (
        plain.replace("amqp:", "amqps:").replace(":5672/", ":5671/")
        + f"?cacertfile={MOUNTED}tls_authorities"
    )
    wanted = {secret for service in CHANGED.values() for secret in service["secrets"]}
    assert wanted == TLS["secrets"].keys()
    shown = subprocess.run(
        ["openssl", "x509", "-noout", "-ext", "subjectAltName"],
        input=made["org_tls"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "DNS:org, DNS:org-web, DNS:org-downloads" in shown
    assert (folder / "tls_authority_key").stat().st_mode & 0o777 == 0o400
