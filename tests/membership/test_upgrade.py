"""Migrations keep the rows of existing databases."""

from pathlib import Path

import pytest
from chassis.db import migrations
from chassis.runtime import log
from membership.app import SERVICE
from sqlalchemy import create_engine, text

pytestmark = pytest.mark.both_databases

ROWS = (
    "INSERT INTO organizations "
    "VALUES (:one, :one, 'customer', 'Acme', 'open', 'provider', '2026-01-01 00:00:00.000000')",
    "INSERT INTO identities (id, email, given_name, family_name, status, created_at) "
    "VALUES (:one, 'o@acme.example', 'O', 'O', 'active', '2026-01-01 00:00:00.000000')",
    "INSERT INTO members "
    "(id, organization_id, identity_id, role, name, status, verified, sort_name, search, "
    "created_at) VALUES (:one, :one, :one, 'owner', 'O', 'active', true, 'o', 'o', "
    "'2026-01-01 00:00:00.000000')",
    "INSERT INTO sessions (id, identity_id, member_id, organization_id, created_at, "
    "last_used_at, expires_at, idle_at) "
    "VALUES (:one, :one, :one, :one, '2026-01-02 00:00:00.000000', '2026-01-02 00:00:00.000000', "
    "'2026-01-03 00:00:00.000000', '2026-01-03 00:00:00.000000')",
    "INSERT INTO refresh_tokens (digest, session_id) VALUES ('abc', :one)",
)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_sessions_and_refresh_tokens_survive_an_upgrade(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if database == "sqlite":
        url = f"sqlite:///{tmp_path / 'old.db'}"
    else:
        url = request.getfixturevalue("postgres").fresh_database("membership").owner_url
    migrations.upgrade(SERVICE.migrations, url, "0002")
    engine = create_engine(url)
    one = "0" * 31 + "1"
    with engine.begin() as connection:
        for row in ROWS:
            connection.execute(text(row), {"one": one})

    migrations.upgrade(SERVICE.migrations, url)

    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM refresh_tokens")) == 1
        assert str(connection.scalar(text("SELECT proved_at FROM sessions"))).startswith(
            "2026-01-02"
        )
    engine.dispose()


def row_of(number: int, email: str) -> tuple[str, ...]:
    one = f"{number:032}"
    return (
        "INSERT INTO identities "
        "(id, email, email_verified_at, given_name, family_name, password_hash, status, created_at)"
        f" VALUES ('{one}', '{email}', '2026-01-01 00:00:00.000000', 'O', 'O', 'hash', 'active',"
        " '2026-01-01 00:00:00.000000')",
        "INSERT INTO members (id, organization_id, identity_id, role, name, email, status, "
        "verified, sort_name, search, created_at) VALUES "
        f"('{one}', '{1:032}', '{one}', 'admin', 'O', '{email}', 'active', true, 'o', 'o', "
        "'2026-01-01 00:00:00.000000')",
    )


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_logins_whose_mail_went_to_another_domain_start_again(
    database: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    if database == "sqlite":
        url = f"sqlite:///{tmp_path / 'old.db'}"
    else:
        url = request.getfixturevalue("postgres").fresh_database("membership").owner_url
    log.start(service="membership")  # to the output of this test
    migrations.upgrade(SERVICE.migrations, url, "0004")
    emails = ("a@straße.example", "a@strasse.example", "a@πόλος.example", "a@bücher.example")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(ROWS[0]), {"one": f"{1:032}"})
        for number, email in enumerate((*emails, "a,b@x.example"), 1):
            for row in row_of(number, email):
                connection.execute(text(row))

    migrations.upgrade(SERVICE.migrations, url)

    with engine.connect() as connection:
        reset = "SELECT email FROM identities WHERE password_hash IS NULL ORDER BY id"
        pending = "SELECT email FROM members WHERE status = 'pending' AND NOT verified ORDER BY id"
        queued = "SELECT email FROM mails WHERE purpose = 'invitation' ORDER BY id"
        for query in (reset, pending, queued):
            assert connection.scalars(text(query)).all() == [emails[0], emails[2]]
    engine.dispose()
    logged = capsys.readouterr().err
    assert logged.count("address.verified_again") == 2 and "address.invalid" in logged
    assert not any(email in logged for email in (*emails, "a,b@x.example"))
