"""The distributed mode as plain processes on a private PostgreSQL and RabbitMQ: what
``docker compose up`` starts, without the proxy."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from pathlib import Path

from chassis.db import migrations
from chassis.runtime import commands
from clientele import registry
from console import app as console
from contracts import OUTSIDERS
from joserfc.jwk import OKPKey

from devtools.ports import free_port
from devtools.servers import Postgres, RabbitMQ, RabbitMQCluster, ReplicatedPostgres
from devtools.servers import processes as private

SERVICES = registry.services()
NAMES = tuple(service.name for service in SERVICES)
DATABASES = tuple(registry.with_database())
ROLES = ("web", "listen", "relay", "tick")
DOWNLOADS = ("org", "billing")
ADMIN = "admin@example.com"


class System:
    """Every role of every service in a process of its own, named like ``billing-relay`` or
    ``gateway-web``. ``folder``: for logs and mail; ``downloads``: whether CSV and PDF come from
    processes of their own, like ``billing-downloads``. There is no proxy, so API and pages have an
    address each."""

    def __init__(
        self,
        postgres: Postgres | ReplicatedPostgres,
        rabbitmq: RabbitMQ | RabbitMQCluster,
        folder: Path,
        *,
        settings: Mapping[str, str],
        downloads: bool = False,
    ) -> None:
        self.folder = folder
        self.password = secrets.token_urlsafe(16)
        self.mail = folder / "mail"
        self.mail.mkdir(parents=True, exist_ok=True)
        self._settings = settings
        self._databases = {name: postgres.fresh_database(name) for name in DATABASES}
        self._brokers = rabbitmq.create_service_users(*NAMES, *OUTSIDERS)
        self._broker_admin = rabbitmq.url()
        self._ports = {name: free_port() for name in registry.entries()}
        self._downloads = {f"{name}-downloads": free_port() for name in DOWNLOADS if downloads}
        self._health = {f"{s}-{r}": free_port() for s in NAMES for r in ROLES if r != "web"}
        self._secrets = {name: secrets.token_urlsafe(32) for name in registry.callers()}
        self._pepper = secrets.token_hex(32)
        self._signing_key = OKPKey.generate_key("Ed25519").as_pem(private=True).decode()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        roles = (f"{s}-{r}" for s in NAMES for r in ROLES)
        self.names = (*roles, *self._downloads, "console-web", "gateway-web")

    @property
    def address(self) -> str:
        """The address of the API: the gateway."""
        return self.url_of("gateway")

    @property
    def pages(self) -> str:
        """The address of the pages: the console."""
        return self.url_of("console")

    def url_of(self, service: str) -> str:
        """The address of a service's web role; in a deployment only the proxy and other services
        reach it."""
        return f"http://127.0.0.1:{self._ports[service]}"

    def database_url(self, service: str) -> str:
        """A service's database, as the service itself logs in."""
        return self._databases[service].app_url

    def broker_url(self, user: str) -> str:
        """The broker, as a service or an outsider logs in."""
        return self._brokers[user]

    def prepare(self) -> None:
        """The deploy steps: migrations, topology, the first provider."""
        for service in SERVICES:
            migrations.upgrade(service.migrations, self._databases[service.name].owner_url)
            commands.declare_topology(service, self._broker_admin)
        migrations.upgrade(console.MIGRATIONS, self._databases["console"].owner_url, shared=False)
        self.command("membership", "bootstrap")

    def command(self, service: str, *words: str, **extra: str) -> str:
        """Run a command of a service to its end; what it printed."""
        done = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-m", service, *words],
            env=self.environment(service, words[0]) | extra,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{service} {' '.join(words)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self, names: Iterable[str] = (), **extra: str) -> None:
        """Start these roles (all of them by default) and wait until they answer; ``extra`` joins
        the environment."""
        chosen = tuple(names) or self.names
        for name in chosen:
            self._launch(name, extra)
        for name in chosen:
            self._await_alive(name)

    def await_ready(self, seconds: float = 180) -> None:
        """Wait until the gateway says that every service is ready."""
        until(lambda: _answers(f"{self.address}/readyz"), seconds, "the system is not ready")

    def kill(self, name: str) -> None:
        """kill -9 of a role with everything below it."""
        process = self._running.pop(name, None)
        if process is not None:
            private.kill(process)

    def kill_all(self) -> None:
        """kill -9 of every role."""
        for name in self.names:
            self.kill(name)

    def stop(self, names: Iterable[str] = ()) -> dict[str, int]:
        """SIGTERM to these roles (all by default); their exit codes."""
        chosen = [name for name in (tuple(names) or self.names) if name in self._running]
        for name in chosen:
            self._running[name].send_signal(signal.SIGTERM)
        codes = {}
        for name in chosen:
            process = self._running.pop(name)
            try:
                codes[name] = process.wait(30)
            except subprocess.TimeoutExpired:
                private.kill(process)
                codes[name] = -9
        return codes

    def await_death(self, name: str, seconds: float = 30) -> int:
        """Wait until a role has ended on its own; its exit code."""
        return self._running.pop(name).wait(seconds)

    def is_running(self, name: str) -> bool:
        """Whether the role's process is running."""
        return name in self._running and self._running[name].poll() is None

    def pid(self, name: str) -> int:
        """The id of the role's process; for a web role, the one that supervises its workers."""
        return self._running[name].pid

    def readiness_file(self, name: str) -> Path:
        """Where a role notes that it is ready."""
        return self.folder / f"{name}.ready"

    def log(self, name: str) -> str:
        """What a role has logged so far."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _launch(self, name: str, extra: Mapping[str, str]) -> None:
        service, _, role = name.partition("-")
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603 - our own code
                [sys.executable, "-m", service, "web" if name in self._downloads else role],
                env={
                    **self.environment(service, role),
                    "READINESS_FILE": str(self.readiness_file(name)),
                    **extra,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    def _await_alive(self, name: str) -> None:
        service, _, role = name.partition("-")
        port = self._ports[service] if role == "web" else (self._downloads | self._health)[name]

        def alive() -> bool:
            if self._running[name].poll() is not None:
                raise RuntimeError(f"{name} has ended:\n{self.log(name)[-3000:]}")
            return _answers(f"http://127.0.0.1:{port}/healthz")

        until(alive, 180, f"{name} does not answer")

    def environment(self, service: str, role: str) -> dict[str, str]:
        """The environment that a role or a command of a service gets."""
        inherited = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR")}
        names = {f"{name.upper()}_URL": self.url_of(name) for name in registry.entries()}
        common = {
            "HOST": "127.0.0.1",
            "PORT": str(self._ports[service]),
            "WEB_WORKERS": "1",
            "WEB_THREADS": "8",
            "HEALTH_PORT": str(self._health.get(f"{service}-{role}", 0)),
            "PUBLIC_URL": self.pages,
            "TRUSTED_PROXIES": "127.0.0.0/8",
            "PYTHONUNBUFFERED": "1",
            **names,
            **self._settings,
        }
        if role == "downloads":
            common |= {"PORT": str(self._downloads[f"{service}-downloads"]), "WEB_THREADS": "32"}
        if service == "gateway":
            common |= {
                f"{name.replace('-', '_').upper()}_URL": f"http://127.0.0.1:{port}"
                for name, port in self._downloads.items()
            }
            own = {
                "INTERNAL_SECRET": self._secrets["gateway"],
                "PUBLIC_URL": self.address,
                "REGISTRY": str(registry.FILE),
                "WEB_THREADS": "80",
            }
            return inherited | common | own
        database = self._databases[service]
        own = {"DATABASE_URL": database.owner_url if role == "migrate" else database.app_url}
        if registry.entries()[service].messages:
            own |= self._secrets_of(service)
        if service == "console":
            own["WEB_THREADS"] = "28"
        if role == "topology":
            own |= {"BROKER_ADMIN_URL": self._broker_admin, "BROKER_POLICY_SET": "true"}
        return inherited | common | own

    def _secrets_of(self, service: str) -> dict[str, str]:
        """What a service with messages needs for the broker and for internal calls, and more for
        membership."""
        callers = [
            f"{name}={sha256(self._secrets[name].encode()).hexdigest()}"
            for name in registry.entries()[service].callers
        ]
        secret_settings = {
            "BROKER_URL": self._brokers[service],
            "INTERNAL_SECRET": self._secrets.get(service, ""),
            "INTERNAL_CALLERS": ",".join(callers),
        }
        if service == "membership":
            secret_settings |= {
                "SIGNING_KEY": self._signing_key,
                "PEPPER": self._pepper,
                "MAIL_URL": f"file://{self.mail}",
                "CLIENTELE_ADMIN_EMAIL": ADMIN,
                "CLIENTELE_ADMIN_PASSWORD": self.password,
            }
        return secret_settings


def until(condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Return once the condition holds. Raises TimeoutError saying ``otherwise``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own address
            json.load(answer)
            return True
    except (OSError, urllib.error.URLError, ValueError):
        return False


def run(folder: Path) -> None:
    """Start servers and all roles, print how to begin, stop everything on Ctrl-C or SIGTERM."""
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda n, _: stopping.append(n))
    folder.mkdir(parents=True, exist_ok=True)
    with Postgres() as postgres, RabbitMQ() as rabbitmq:
        system = System(postgres, rabbitmq, folder, settings={}, downloads=True)
        try:
            system.prepare()
            system.start()
            system.await_ready()
            print(  # noqa: T201 - this is what the command is for
                f"\n  Open           {system.pages}\n"
                f"  API            {system.address}\n"
                f"  Sign in as     {ADMIN}\n"
                f"  Password       {system.password}\n\n"
                f"  {len(system.names)} processes, their logs in {folder}\n"
                "  Stop with Ctrl-C. No data is kept.\n",
                flush=True,
            )
            until(lambda: bool(stopping), float("inf"), "")
        finally:
            system.stop()
