"""django-hordak: a virtual environment of its own, a database, and gunicorn with plain views."""

import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chassis.db.database import Database
from devtools import ports
from devtools.processes import until
from devtools.servers import Postgres, processes
from sqlalchemy import make_url, text

from tests.bench.peers.measuring import Requests

ROOT = Path(__file__).parents[3]
INSTALLED = ROOT / ".tools" / "hordak"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
SCRIPT = Path(__file__).with_name("requests.lua")
APP = "tests.bench.peers.hordak_app"
# As our web roles: two processes with eight threads each, and connections that stay open.
GUNICORN = [
    *("--workers", "2", "--worker-class", "gthread", "--threads", "8", "--keep-alive", "65"),
    *("--worker-tmp-dir", "/dev/shm", "--log-level", "warning", "--no-control-socket"),
]


class Hordak:
    """Accounts of ``count`` customers, and one for the income that they are charged."""

    def __init__(self, postgres: Postgres, folder: Path, count: int) -> None:
        self._python, self._folder = installed(), folder
        created = postgres.fresh_database("hordak")
        url = make_url(created.owner_url)
        inherited = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR")}
        self._environment = {
            **inherited,
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": f"{APP}.settings",
            "PGHOST": str(url.host),
            "PGPORT": str(url.port),
            "PGUSER": str(url.username),
            "PGPASSWORD": str(url.password),
            "PGDATABASE": str(url.database),
        }
        self._database, self.databases = Database(created.owner_url, pool_size=1), [created.name]
        self._accounts = folder / "accounts"
        self._accounts.write_text(self._run(f"{APP}.prepare", str(count)))
        self._port, self._pid = ports.free_port(), 0

    @contextmanager
    def serving(self) -> Iterator[None]:
        """gunicorn runs until the block ends."""
        bind = ["--bind", f"{ports.LOOPBACK}:{self._port}"]
        with (self._folder / "hordak.log").open("ab") as log:
            process = subprocess.Popen(
                [str(self._python), "-m", "gunicorn", *GUNICORN, *bind, f"{APP}.wsgi"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        self._pid = process.pid
        try:
            until(self._answers, 60, "hordak does not answer")
            yield
        finally:
            processes.end(process, signal.SIGTERM)

    def posted(self) -> int:
        """The number of transactions in the ledger."""
        with self._database.reading() as session:
            return session.scalars(text("SELECT count(*) FROM hordak_transaction")).one()

    def charge(self) -> Requests:
        """One transfer a request."""
        return self._requests("/accounts/%s/charges", 0)

    def records(self, size: int) -> Requests:
        """Transfers in one transaction of the database."""
        return self._requests("/usage", size)

    def account(self) -> Requests:
        """The account's name and balance."""
        return self._requests("/accounts/%s")

    def page(self) -> Requests:
        """Accounts by code, with their names and balances."""
        return self._requests("/accounts")

    def _requests(self, path: str, items: int | None = None) -> Requests:
        return Requests(
            self._pid,
            f"http://{ports.LOOPBACK}:{self._port}",
            SCRIPT,
            [path, str(self._accounts), "", "none" if items is None else str(items)],
            0 if items is None else max(items, 1),
            self.posted,
        )

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{ports.LOOPBACK}:{self._port}/accounts") as answer:
                return answer.status == 200
        except OSError:
            return False

    def _run(self, module: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(self._python), "-m", module, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{module}:\n{done.stderr[-3000:]}")
        return done.stdout


def installed() -> Path:
    """The Python of a virtual environment with what is required, created again when that has
    changed."""
    python, marker = INSTALLED / "bin" / "python", INSTALLED / "requirements.txt"
    wanted = REQUIREMENTS.read_text()
    if not marker.exists() or marker.read_text() != wanted:
        shutil.rmtree(INSTALLED, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(INSTALLED)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", str(REQUIREMENTS)], check=True)
        marker.write_text(wanted)
    return python
