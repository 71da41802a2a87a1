"""The system that the demo uses: a running one, or one started for it and stopped afterwards."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3

from devtools.demo.waiting import until
from devtools.ports import free_port

EMAIL = "admin@example.com"
STARTS_WITHIN = 60.0
READY_WITHIN = 30.0
STOPS_WITHIN = 20.0
_NOT_INHERITED = ("MAIL_URL", "PUBLIC_URL")


class DidNotStart(Exception):
    """The system was not ready in time."""


@dataclass(frozen=True)
class System:
    """Its address, its administrator's login, and the folder of its email, if known."""

    base_url: str
    email: str
    password: str
    mails: Path | None


@contextmanager
def embedded() -> Iterator[System]:
    """A new system in a temporary folder on a free port, removed afterwards. Raises DidNotStart."""
    with tempfile.TemporaryDirectory(prefix="clientele-demo-") as folder:
        data, port = Path(folder), free_port()
        system = System(f"http://127.0.0.1:{port}", EMAIL, secrets.token_urlsafe(18), data / "mail")
        with (data / "log").open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "clientele", "run"],
                env=_environment(system, data, port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            with _stopped_orderly():
                _await_ready(system, child, data / "log")
                yield system
        finally:
            _stop(child)


def await_ready(system: System) -> None:
    """Wait until every service of a running system is ready. Raises DidNotStart."""
    if not until(lambda: _is_ready(system), seconds=READY_WITHIN, every=1.0):
        raise DidNotStart(f"{system.base_url}/readyz does not report the system as ready")


def _environment(system: System, data: Path, port: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    return kept | {
        "CLIENTELE_DATA": str(data),
        "CLIENTELE_PORT": str(port),
        "CLIENTELE_ADMIN_EMAIL": system.email,
        "CLIENTELE_ADMIN_PASSWORD": system.password,
    }


def _await_ready(system: System, child: "subprocess.Popen[bytes]", log: Path) -> None:
    def look() -> bool:
        return child.poll() is not None or _is_ready(system)

    until(look, seconds=STARTS_WITHIN)
    if child.poll() is not None or not _is_ready(system):
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        raise DidNotStart(f"the embedded system did not become ready; the end of its log:\n{tail}")


def _is_ready(system: System) -> bool:
    try:
        return (
            urllib3.request("GET", f"{system.base_url}/readyz", retries=False, timeout=2.0).status
            == 200
        )
    except urllib3.exceptions.HTTPError:
        return False


@contextmanager
def _stopped_orderly() -> Iterator[None]:
    """SIGTERM to the demo also stops the system it started."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(child: "subprocess.Popen[bytes]") -> None:
    child.terminate()
    try:
        child.wait(STOPS_WITHIN)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
