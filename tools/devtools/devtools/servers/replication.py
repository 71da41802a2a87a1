"""A private PostgreSQL with a synchronous standby, to try out a failover."""

import os
from collections.abc import Mapping
from typing import Self

from sqlalchemy import make_url

from devtools.servers import processes
from devtools.servers.postgres import Postgres, ServiceDatabase


class Standby(Postgres):
    """A copy of another server that follows it, and only reads until it is promoted."""

    def __init__(self, primary: Postgres) -> None:
        super().__init__(primary.settings)
        self.primary, self.password = primary, primary.password

    def promote(self) -> None:
        """Become the primary; returns when it accepts changes."""
        self.execute("SELECT pg_promote()")

    def _initialise(self) -> None:
        login = ["--host", self.primary.host, f"--port={self.primary.port}", "--username=postgres"]
        options = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
        processes.run(
            [
                str(self._programs / "pg_basebackup"),
                *login,
                *options,
                f"--pgdata={self.folder / 'data'}",
            ],
            environment=os.environ | {"PGPASSWORD": self.password},
            account=self._account,
        )


class ReplicatedPostgres:
    """A primary and a standby that has every transaction before it is acknowledged."""

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.primary = Postgres(settings)
        self.standby = Standby(self.primary)

    def __enter__(self) -> Self:
        self.primary.start()
        try:
            self.standby.start()
            self.primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            self.primary.execute("SELECT pg_reload_conf()")
            self.await_standby()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.standby.stop()
        self.primary.stop()

    def await_standby(self) -> None:
        """Return once commits wait for the standby."""
        attached = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        assert self.primary.process is not None
        processes.await_ready(
            self.primary.process,
            lambda: bool(self.primary.execute(attached)),
            log=self.primary.folder / "server.log",
        )

    def fresh_database(self, name: str) -> ServiceDatabase:
        """A service's database under a new name; its URLs name both servers."""
        made = self.primary.fresh_database(name)
        return ServiceDatabase(self._of_both(made.owner_url), self._of_both(made.app_url))

    def fail_over(self) -> None:
        """kill -9 to the primary, then promote the standby."""
        self.primary.kill()
        self.standby.promote()

    def _of_both(self, url: str) -> str:
        hosts = [f"{server.host}:{server.port}" for server in (self.primary, self.standby)]
        query = {"host": hosts, "target_session_attrs": "read-write"}
        address = make_url(url)._replace(host=None, port=None).update_query_dict(query)
        return address.render_as_string(hide_password=False)
