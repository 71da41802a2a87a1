"""A private PgBouncer in front of a PostgreSQL, with the settings of the deployment."""

import configparser
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import psycopg
from sqlalchemy import make_url

from devtools import ports
from devtools.servers import installation, processes

INI = Path(__file__).parents[4] / "deploy" / "pgbouncer" / "pgbouncer.ini"


class PgBouncer:
    """A pool of connections on a free loopback port to the database of ``url``, for the user of
    that URL. ``settings``: parameters that differ from the deployment's."""

    def __init__(self, url: str, settings: Mapping[str, str] | None = None) -> None:
        self.server = make_url(url)
        self.port = ports.free_port()
        self.folder = Path()
        self.process: subprocess.Popen[bytes] | None = None
        self._settings = dict(settings or {})
        self._account = processes.account_for("postgres")

    @property
    def url(self) -> str:
        """The database through the pool."""
        address = self.server.set(host=ports.LOOPBACK, port=self.port)
        return address.render_as_string(hide_password=False)

    def __enter__(self) -> Self:
        self.folder = processes.private_folder("clientele-pgbouncer-", self._account)
        try:
            self._launch()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process and remove its files."""
        if self.process:
            processes.end(self.process, signal.SIGINT)
            self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def answers(self) -> bool:
        """Whether the user can log in through the pool."""
        address = self.server.set(drivername="postgresql", host=ports.LOOPBACK, port=self.port)
        try:
            psycopg.connect(address.render_as_string(hide_password=False)).close()
        except psycopg.OperationalError:
            return False
        return True

    def _launch(self) -> None:
        ini, users = self.folder / "pgbouncer.ini", self.folder / "userlist.txt"
        users.touch(mode=0o600)
        users.write_text(f'"{self.server.username}" "{self.server.password}"\n')
        configuration = configparser.ConfigParser(interpolation=None)
        configuration.read(INI)
        configuration["databases"]["*"] = f"host={self.server.host} port={self.server.port}"
        configuration["pgbouncer"].update(
            {
                "listen_addr": ports.LOOPBACK,
                "listen_port": str(self.port),
                "unix_socket_dir": "",
                "auth_file": str(users),
                **self._settings,
            }
        )
        with ini.open("w") as file:
            configuration.write(file)
        for path in (ini, users):
            os.chown(path, self._account.pw_uid, self._account.pw_gid)
        log = self.folder / "server.log"
        self.process = processes.launch(
            [str(installation.pgbouncer()), str(ini)],
            environment=os.environ,
            account=self._account,
            log=log,
            when_orphaned="INT",
        )
        processes.await_ready(self.process, self.answers, log=log)
