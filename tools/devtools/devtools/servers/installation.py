"""Finds PostgreSQL, PgBouncer, RabbitMQ, HAProxy and Chromium on this machine. On Debian, root
installs what is missing."""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

POLICY = Path("/usr/sbin/policy-rc.d")
_DOCKER = ", or, for the tests, start a Docker engine"
# The headless shell comes first: it takes less than half the processor time.
CHROMIUMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


class ServerMissing(RuntimeError):
    """A program is not installed and cannot be installed from here; the message says what to do."""


def postgres_programs() -> Path:
    """The folder with initdb, postgres and psql of the newest PostgreSQL."""
    return _find_or_install(
        _find_postgres, title="PostgreSQL", package="postgresql", instead=_DOCKER
    )


def rabbitmq_scripts() -> Path:
    """The folder with RabbitMQ's own scripts; the package's wrappers always use the shared
    instance."""
    return _find_or_install(
        _find_rabbitmq, title="RabbitMQ", package="rabbitmq-server", instead=_DOCKER
    )


def chromium() -> Path:
    """The browser for tests of the console."""
    return _find_or_install(_find_chromium, title="Chromium", package="chromium-headless-shell")


def haproxy() -> Path:
    """The proxy."""
    return _find_or_install(_find_haproxy, title="HAProxy", package="haproxy")


def pgbouncer() -> Path:
    """The pool of connections to PostgreSQL."""
    return _find_or_install(_find_pgbouncer, title="PgBouncer", package="pgbouncer")


def _find_postgres() -> Path | None:
    packaged = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest_first = sorted((path.parent for path in packaged), key=_version, reverse=True)
    on_path = shutil.which("initdb")
    candidates = [*newest_first, *([Path(on_path).parent] if on_path else [])]
    return next((folder for folder in candidates if (folder / "postgres").exists()), None)


def _find_rabbitmq() -> Path | None:
    packaged = Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin")
    newest_first = sorted(packaged, key=_version, reverse=True)
    on_path = shutil.which("rabbitmq-server")
    candidates = [*newest_first, *([Path(on_path).resolve().parent] if on_path else [])]
    path = next((folder for folder in candidates if (folder / "rabbitmq-server").exists()), None)
    return path if shutil.which("epmd") else None


def _find_haproxy() -> Path | None:
    return _find_in_sbin("haproxy")


def _find_pgbouncer() -> Path | None:
    return _find_in_sbin("pgbouncer")


def _find_in_sbin(name: str) -> Path | None:
    program = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return Path(program) if program else None


def _find_chromium() -> Path | None:
    return next((Path(path) for name in CHROMIUMS if (path := shutil.which(name))), None)


def _version(path: Path) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", str(path))]


def _find_or_install(
    find: Callable[[], Path | None], *, title: str, package: str, instead: str = ""
) -> Path:
    path = find()
    if path is None and os.geteuid() == 0 and shutil.which("apt-get"):
        with _alone():
            path = find()
            if path is None:
                _install(package)
                path = find()
    if path is None:
        raise ServerMissing(
            f"{title} was not found on this machine. Install it (Debian, Ubuntu: apt-get install "
            f"{package}; elsewhere the system's own package){instead}."
        )
    return path


def _install(package: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with _services_held_back():
        for arguments in (
            ["update", "-q"],
            ["install", "-y", "-q", "--no-install-recommends", package],
        ):
            result = subprocess.run(  # noqa: S603
                ["apt-get", *arguments],  # noqa: S607
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
    if result.returncode:
        raise ServerMissing(f"apt-get install {package} failed:\n{result.stdout}{result.stderr}")


@contextmanager
def _alone() -> Iterator[None]:
    """One process at a time installs; one that waited may find the program installed."""
    with (Path(tempfile.gettempdir()) / "clientele-install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _services_held_back() -> Iterator[None]:
    """Inside this block, a package that is installed does not start its service."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
