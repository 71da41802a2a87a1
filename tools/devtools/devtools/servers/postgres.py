"""A private PostgreSQL, removed when stopped."""

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, LiteralString, NamedTuple, Self

import psycopg
from sqlalchemy import make_url

from devtools import ports
from devtools.servers import installation, processes

SERVICE_SQL = Path(__file__).parents[4] / "deploy" / "postgres" / "service.sql"
SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "deadlock_timeout": "200ms",
    "log_lock_waits": "on",
    "log_line_prefix": "%m [%p] %u@%d ",
    "timezone": "UTC",
}
DROP_SERVICE = """
DROP DATABASE IF EXISTS :"name" WITH (FORCE);
\\set owner :name '_owner'
\\set app :name '_app'
DROP ROLE IF EXISTS :"owner", :"app";
"""


class ServiceDatabase(NamedTuple):
    """A service's database: the URL for its migrations and the URL for its code."""

    owner_url: str
    app_url: str

    @property
    def name(self) -> str:
        return str(make_url(self.app_url).database)


class Postgres:
    """PostgreSQL on a free loopback port, its data in a temporary folder. ``settings``: server
    parameters that differ from ``SETTINGS``."""

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.settings = SETTINGS | dict(settings or {})
        self.host = ports.LOOPBACK
        self.port = ports.free_port()
        self.password = secrets.token_hex(16)
        self.folder = Path()
        self.process: subprocess.Popen[bytes] | None = None
        self._account = processes.account_for("postgres")

    @property
    def source(self) -> str:
        return f"private server from {self._programs}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Make an empty server and wait until it accepts logins."""
        self._programs = installation.postgres_programs()
        self.folder = processes.private_folder("clientele-postgres-", self._account)
        try:
            self._initialise()
            self._launch()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the server and remove its data."""
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """kill -9 to every process of the server; the data stays for `restart`."""
        if self.process:
            processes.kill(self.process)
            self.process = None

    def restart(self) -> None:
        """Start again on the same data and port, whether it was killed or still runs."""
        self._end()
        self._launch()

    def url(
        self, database: str = "postgres", user: str = "postgres", password: str | None = None
    ) -> str:
        """Where SQLAlchemy finds a database; as the superuser unless a user is named."""
        login = f"{user}:{password or self.password}"
        return f"postgresql+psycopg://{login}@{self.host}:{self.port}/{database}"

    def create_service(self, name: str) -> ServiceDatabase:
        """The database and logins of a service, by the same SQL as in the deployment."""
        owner, app = secrets.token_hex(16), secrets.token_hex(16)
        self.psql(SERVICE_SQL.read_text(), name=name, owner_password=owner, app_password=app)
        return ServiceDatabase(
            self.url(name, f"{name}_owner", owner),
            self.url(name, f"{name}_app", app),
        )

    def fresh_database(self, name: str) -> ServiceDatabase:
        """A service's database like `create_service`, under a new name."""
        return self.create_service(f"{name}_{secrets.token_hex(4)}")

    def drop(self, database: ServiceDatabase) -> None:
        """Remove a service's database and logins, closing open connections."""
        self.psql(DROP_SERVICE, name=database.name)

    def psql(self, script: str, **variables: str) -> str:
        """Run a psql script as the superuser; its variables travel inside, hidden from the process
        list."""
        environment = os.environ | {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": "postgres",
            "PGPASSWORD": self.password,
            "PGDATABASE": "postgres",
        }
        command = [str(self._programs / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"]
        return processes.run(
            command, environment=environment, text=with_variables(script, variables)
        )

    def execute(self, statement: LiteralString) -> Any:
        """Run a statement as the superuser, in no transaction; the first value that it returns."""
        with psycopg.connect(
            host=self.host,
            port=self.port,
            user="postgres",
            password=self.password,
            connect_timeout=2,
            autocommit=True,
        ) as connection:
            cursor = connection.execute(statement)
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None

    def answers(self) -> bool:
        """Whether the superuser can log in."""
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _initialise(self) -> None:
        password_file = self.folder / "password"
        password_file.touch(mode=0o600)
        os.chown(password_file, self._account.pw_uid, self._account.pw_gid)
        password_file.write_text(self.password)
        options = ["--username=postgres", f"--pwfile={password_file}", "--auth=scram-sha-256"]
        options += ["--data-checksums", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        command = [str(self._programs / "initdb"), "-D", str(self.folder / "data"), *options]
        processes.run(command, environment=os.environ, account=self._account)
        password_file.unlink()

    def _launch(self) -> None:
        places = {
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": "",
        }
        options = [f"--{name}={value}" for name, value in (self.settings | places).items()]
        log = self.folder / "server.log"
        self.process = processes.launch(
            [str(self._programs / "postgres"), "-D", str(self.folder / "data"), *options],
            environment=os.environ,
            account=self._account,
            log=log,
            when_orphaned="INT",
        )
        processes.await_ready(self.process, self.answers, log=log)

    def _end(self) -> None:
        if self.process:
            processes.end(self.process, signal.SIGINT)
            self.process = None


def with_variables(script: str, variables: dict[str, str]) -> str:
    """A psql script that first sets its own variables."""
    return "".join(f"\\set {name} '{value}'\n" for name, value in variables.items()) + script
