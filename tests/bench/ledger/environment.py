"""The environment of the ledger benchmark: its own PostgreSQL and RabbitMQ, billing, and customers
with credits."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from billing.app import SERVICE
from billing.models import Account, Entry, Provider
from billing.values import month_end
from chassis.db import migrations
from chassis.db.database import Database
from chassis.runtime import clock, ids
from devtools.demo.api import Api
from devtools.processes import ADMIN, System
from devtools.servers import Postgres, RabbitMQ, installation
from sqlalchemy import func, insert, select, text

WALLETS = 10_000
SCALE = 50
AMPLE_CREDITS = 10**15
MEMORY = {"shared_buffers": "2GB", "max_wal_size": "8GB", "wal_compression": "on"}
ROLES = ("membership-web", "billing-web", "billing-listen")
# Wallet ids of the two databases that differ only in the size of the journal, made from a number.
NUMBERED = "('01890000-0000-7000-8000-' || lpad(to_hex({}::bigint), 12, '0'))::uuid"
_COLUMNS = {
    "organization_id": NUMBERED.format("w"),
    "seq": "n",
    "transaction_id": "gen_random_uuid()",
    "part": "0",
    "provider_id": ":provider",
    "currency": "'SGD'",
    "kind": "'usage'",
    "debit": "1",
    "credit": "30",
    "amount": "1000",
    "moved": "-1000",
    "balance_after": f"{AMPLE_CREDITS} - n * 1000",
    "prepaid_after": f"{AMPLE_CREDITS} - n * 1000",
    "surplus_after": "0",
    "unbilled_after": "0",
    "invoiced_after": "0",
    "held_after": "0",
    "source": "'grown-' || w || '-' || n",
    "description": "'Calls abroad'",
    "occurred_at": "now()",
    "posted_at": "now()",
}
_GROWN = (
    f"INSERT INTO journal ({', '.join(_COLUMNS)}) SELECT {', '.join(_COLUMNS.values())}"
    f" FROM generate_series(1, :each) n, generate_series(1, {WALLETS}) w"
)


class Environment:
    """``wallets``: prepaid customers of one provider. ``by_month``: postpaid ones. ``url``: of
    billing's database. ``grown``: those of databases by the rows in their journals."""

    def __init__(self, postgres: Postgres, system: System, folder: Path) -> None:
        self.postgres, self.system, self.folder = postgres, system, folder
        self.provider_id = provider_of(self.token())
        self.url = system.database_url("billing")
        self.database = Database(self.url, pool_size=2)
        self.wallets = [ids.new("org") for _ in range(WALLETS)]
        self.by_month = [ids.new("org") for _ in range(WALLETS)]
        now = clock.now()
        open_accounts(self.database, self.provider_id, self.wallets, "prepaid", now)
        open_accounts(self.database, self.provider_id, self.by_month, "postpaid", now)
        self.grown = {rows: self._grown(rows) for rows in (10**4, 10**6)}
        self.pgbench("-i", "-q", "-s", str(SCALE), "postgres")
        self.postgres.psql(f"\\connect {self.url.rpartition('/')[2]}\nVACUUM ANALYZE;")

    @property
    def numbered(self) -> list[str]:
        """The wallets of the databases that differ only in the size of the journal."""
        numbered = [f"01890000-0000-7000-8000-{n:012x}" for n in range(1, WALLETS + 1)]
        return [ids.of_uuid("org", uuid.UUID(n)) for n in numbered]

    def token(self) -> str:
        """An access token of the first administrator, valid for five minutes."""
        return sign_in(self.system)

    def pgbench(self, *arguments: str) -> str:
        """Run pgbench as the superuser; returns its output."""
        environment = os.environ | {
            "PGHOST": self.postgres.host,
            "PGPORT": str(self.postgres.port),
            "PGUSER": "postgres",
            "PGPASSWORD": self.postgres.password,
        }
        program = str(installation.postgres_programs() / "pgbench")
        done = subprocess.run(
            [program, *arguments],
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"pgbench {' '.join(arguments)}:\n{done.stderr[-2000:]}")
        return done.stdout

    def postings(self) -> int:
        """The number of rows in the journal."""
        with self.database.reading() as session:
            return session.scalars(select(func.count()).select_from(Entry)).one()

    def bytes_per_row(self) -> float:
        """The size of a journal row, including indexes."""
        with self.database.reading() as session:
            size = session.scalars(text("SELECT pg_total_relation_size('journal')")).one()
        return float(size / max(1, self.postings()))

    def _grown(self, rows: int) -> str:
        """Create a database with that many rows in its journal; returns its address."""
        made = self.postgres.fresh_database("billing")
        migrations.upgrade(SERVICE.migrations, made.owner_url)
        owner = Database(made.owner_url, pool_size=1)
        open_accounts(owner, self.provider_id, self.numbered, "prepaid", clock.now())
        with owner.transaction() as session:
            each = rows // WALLETS
            session.execute(
                text(_GROWN), {"each": each, "provider": ids.to_uuid("org", self.provider_id)}
            )
            session.execute(
                text("UPDATE accounts SET seq = :each, prepaid = prepaid - 1000 * :each"),
                {"each": each},
            )
        owner.close()
        self.postgres.psql(f"\\connect {made.name}\nVACUUM ANALYZE;")
        return made.app_url


def open_accounts(
    database: Database, provider_id: str, organizations: list[str], mode: str, now: datetime
) -> None:
    """Open accounts with more credits, or a higher limit, than will ever be used."""
    zeros = dict.fromkeys(
        ("surplus", "unbilled", "invoiced", "held", "in_flight", "seq", "on_wallet"), 0
    )
    with database.transaction() as session:
        if session.get(Provider, provider_id) is None:
            session.add(
                Provider(id=provider_id, name="Bench", currency="SGD", timezone="UTC", settings={})
            )
        session.execute(
            insert(Account),
            [
                {
                    **zeros,
                    "organization_id": organization_id,
                    "provider_id": provider_id,
                    "name": "Acme",
                    "country": "SG",
                    "currency": "SGD",
                    "timezone": "UTC",
                    "payment_mode": mode,
                    "status": "open",
                    "auto_enabled": False,
                    "credit_limit": 0 if mode == "prepaid" else AMPLE_CREDITS,
                    "prepaid": AMPLE_CREDITS if mode == "prepaid" else 0,
                    "billing": {"email": "bills@acme.example"},
                    "buyer_tags": {},
                    "opened_at": now,
                    # As where accounts are opened: prepaid ones are not billed by month.
                    "month_ends_at": None if mode == "prepaid" else month_end(now, "UTC"),
                }
                for organization_id in organizations
            ],
        )


@contextmanager
def prepared() -> Iterator[Environment]:
    """An environment with everything started; removed afterwards."""
    with started(ROLES) as parts:
        yield Environment(*parts)


@contextmanager
def started(roles: Iterable[str]) -> Iterator[tuple[Postgres, System, Path]]:
    """PostgreSQL, these roles on it, with two processes each for the web, and the folder of their
    logs; removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="clientele-bench-"))
    try:
        with Postgres(MEMORY) as postgres, RabbitMQ() as rabbitmq:
            settings = {"WEB_WORKERS": "2", "LOG_LEVEL": "INFO"}
            system = System(postgres, rabbitmq, folder, settings=settings)
            try:
                system.prepare()
                system.start(roles)
                yield postgres, system, folder
            finally:
                system.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sign_in(system: System) -> str:
    """An access token of the first administrator, valid for five minutes."""
    response = Api(system.url_of("membership")).sign_in(ADMIN, system.password)
    return str(response.body["access_token"])


def provider_of(token: str) -> str:
    """The id of the provider for which the token was issued."""
    body = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return str(claims["org"])
