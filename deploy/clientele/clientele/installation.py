"""Where an embedded system keeps its data, and the settings of its services."""

import dataclasses
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from chassis.runtime.settings import Secret
from console.config import Settings as ConsoleSettings
from gateway.config import Settings as GatewaySettings

from clientele import registry

# Threads for API requests and for pages: what the gateway and the console share out.
API_THREADS, PAGE_THREADS = 64, 32
THREADS = API_THREADS + PAGE_THREADS
# Of a service, whose requests run in these threads: from it follows how many may wait at once.
_SERVICE_THREADS = 24
PAGE_RATE = 500
# Services call each other in this process; the addresses are never used.
_NO_ADDRESS = "in this process"
# Settings that the operator may set in the environment.
_OVERRIDABLE = (
    "mail_url",
    "mail_from",
    "public_url",
    "trusted_proxies",
    "clientele_admin_email",
    "clientele_admin_password",
    "clientele_provider_name",
)


@dataclass(frozen=True)
class Installation:
    """An embedded system. ``data``: the folder with everything it keeps."""

    data: Path
    port: int

    @property
    def address(self) -> str:
        """The address to open."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def mail(self) -> Path:
        """The folder that mail is written to."""
        return self.data / "mail"

    @property
    def secrets(self) -> Path:
        """The folder of secrets."""
        return self.data / "secrets"


def from_environment() -> Installation:
    """CLIENTELE_DATA (./var) and CLIENTELE_PORT (8080)."""
    return Installation(
        Path(os.environ.get("CLIENTELE_DATA", "var")).resolve(),
        int(os.environ.get("CLIENTELE_PORT", "8080")),
    )


def settings_of(installation: Installation) -> dict[str, Any]:
    """The settings of every service, by name. Makes folders and secrets that are missing."""
    for folder in (installation.data, installation.mail, installation.secrets):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    overrides = {
        name: os.environ[name.upper()] for name in _OVERRIDABLE if name.upper() in os.environ
    }
    public_url = overrides.get("public_url", installation.address)
    trusted_proxies = overrides.get("trusted_proxies", "")
    passwords = {
        name: _keep_secret(installation, f"{name}.secret", secrets.token_urlsafe(32))
        for name in registry.callers()
    }
    values: dict[str, Any] = {
        "mail_url": Secret(f"file://{installation.mail}"),
        **overrides,
        "public_url": public_url,
        "web_threads": _SERVICE_THREADS,
    }
    settings = {
        service.name: _service_settings(installation, service.name, values, passwords)
        for service in registry.services()
    }
    settings["gateway"] = GatewaySettings(
        registry=str(registry.FILE),
        internal_secret=passwords["gateway"],
        public_url=public_url,
        trusted_proxies=trusted_proxies,
        web_threads=API_THREADS,
    )
    settings["console"] = ConsoleSettings(
        database_url=_database_url(installation, "console"),
        gateway_url=_NO_ADDRESS,
        public_url=public_url,
        trusted_proxies=trusted_proxies,
        web_threads=PAGE_THREADS,
    )
    return settings


def _service_settings(
    installation: Installation,
    name: str,
    values: Mapping[str, Any],
    passwords: Mapping[str, Secret],
) -> Any:
    """The settings of a service: those of ``values`` that it knows, and its own."""
    service = next(service for service in registry.services() if service.name == name)
    known = {field.name for field in dataclasses.fields(service.settings)}
    own: dict[str, Any] = {
        "database_url": _database_url(installation, name),
        "internal_secret": passwords.get(name, Secret("")),
        "internal_callers": ",".join(
            f"{caller}={sha256(passwords[caller].encode()).hexdigest()}"
            for caller in registry.entries()[name].callers
        ),
        **dict.fromkeys(service.upstreams.values(), _NO_ADDRESS),
    }
    if "signing_key" in known:
        own["signing_key"] = _keep_secret(installation, "signing_key.pem", _new_signing_key)
    if "pepper" in known:
        own["pepper"] = _keep_secret(installation, "pepper", secrets.token_hex(32))
        previous = installation.secrets / "previous_pepper"
        own["previous_pepper"] = Secret(previous.read_text() if previous.exists() else "")
    shared = {key: value for key, value in values.items() if key in known}
    return service.settings(**shared, **own)


def _database_url(installation: Installation, name: str) -> Secret:
    return Secret(f"sqlite:///{installation.data / name}.db")


def _keep_secret(installation: Installation, name: str, fresh: Any) -> Secret:
    """The secret of this name, made the first time. ``fresh``: a new one, or what makes it."""
    path = installation.secrets / name
    if not path.exists():
        draft = path.with_suffix(".part")
        draft.write_text(fresh() if callable(fresh) else fresh)
        draft.chmod(0o600)
        draft.replace(path)
    return Secret(path.read_text())


def _new_signing_key() -> str:
    from joserfc.jwk import OKPKey

    return OKPKey.generate_key("Ed25519").as_pem(private=True).decode()
