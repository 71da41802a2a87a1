"""What migrations find out from existing data: who gave each member their access, where
reasons name staff, whose name is whose, and which links are invitations."""

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from chassis.db import migrations
from chassis.runtime import ids
from membership import queries
from membership.app import SERVICE
from membership.models import Authenticator, Identity
from membership.values import tokens
from membership.values.lifetimes import INVITATION
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session

pytestmark = pytest.mark.both_databases

ORGANIZATION = (
    "INSERT INTO organizations VALUES (:id, :id, :kind, 'Acme', 'open', 'customer', "
    "'2026-01-01 00:00:00.000000')"
)
MEMBER = (
    "INSERT INTO members (id, organization_id, role, name, status, verified, sort_name, search, "
    "created_at) "
    "VALUES (:id, :one, 'admin', 'O', 'active', true, 'o', 'o', '2026-01-01 00:00:00.000000')"
)
KEY_ROW = (
    "INSERT INTO api_keys (id, organization_id, name, scopes, created_by, created_by_name, "
    "created_at) VALUES (:id, :id, 'K', '[]', 'x', 'X', '2026-01-01 00:00:00.000000')"
)
ENTRY = (
    "INSERT INTO audit_entries (id, organization_id, number, at, action, outcome, actor, target, "
    "changes, previous_hash, hash) VALUES (:id, :one, :number, '2026-01-01 00:00:00.000000', "
    ":action, 'ok', :actor, :target, :changes, '', '')"
)


def _entry(number: int, action: str, actor: dict[str, Any], member: int, *changes: Any) -> Any:
    return {
        "id": uuid.uuid4().hex,
        "one": UUIDS[0].hex,
        "number": number,
        "action": action,
        "actor": json.dumps(actor),
        "target": json.dumps({"type": "member", "id": ids.of_uuid("mem", UUIDS[member])}),
        "changes": json.dumps(
            [{"field": field, "before": None, "after": after} for field, after in changes]
        ),
    }


UUIDS = [uuid.UUID(int=number) for number in range(1, 12)]
OWN, STAFF, KEY = {"kind": "member"}, {"kind": "staff"}, {"kind": "api_key"}
OWN_KEY = KEY | {"id": ids.of_uuid("key", UUIDS[0])}
PROVIDERS_KEY = KEY | {"id": ids.of_uuid("key", UUIDS[1])}
# By member: what the audit log knows of them, and who has admitted them.
HISTORIES: dict[int, tuple[str, list[Any]]] = {
    0: ("provider", [("member.added", {"kind": "system"})]),
    1: ("organization", [("member.added", OWN, ("email", "a@acme.example"))]),
    2: ("provider", [("member.added", STAFF, ("role", "admin"))]),
    3: ("provider", []),
    4: ("provider", [("member.added", OWN), ("member.updated", STAFF, ("email", "b@b.example"))]),
    5: ("provider", [("member.added", OWN), ("member.updated", STAFF, ("role", "admin"))]),
    6: ("organization", [("member.added", OWN), ("member.updated", STAFF, ("name", "New"))]),
    7: ("organization", [("member.added", OWN_KEY), ("member.updated", STAFF, ("role", "member"))]),
    8: ("provider", [("member.added", PROVIDERS_KEY)]),
    9: ("provider", [("member.added", OWN), ("ownership.transferred", STAFF, ("owner", "mem_x"))]),
    10: (
        "provider",
        [("member.added", STAFF), ("member.updated", OWN, ("email", "c@acme.example"))],
    ),
}


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_who_admitted_a_member_is_taken_from_the_audit_log(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if database == "sqlite":
        url = f"sqlite:///{tmp_path / 'old.db'}"
    else:
        url = request.getfixturevalue("postgres").fresh_database("membership").owner_url
    migrations.upgrade(SERVICE.migrations, url, "0005")
    engine = create_engine(url)
    entries = [(member, entry) for member, (_, known) in HISTORIES.items() for entry in known]
    with engine.begin() as connection:
        for which, kind in enumerate(("customer", "provider")):
            connection.execute(text(ORGANIZATION), {"id": UUIDS[which].hex, "kind": kind})
            connection.execute(text(KEY_ROW), {"id": UUIDS[which].hex})
        for member in HISTORIES:
            row = {"id": UUIDS[member].hex, "one": UUIDS[0].hex}
            connection.execute(text(MEMBER), row)
        for number, (member, (action, actor, *changes)) in enumerate(entries):
            row = _entry(number, action, actor, member, *changes)
            connection.execute(text(ENTRY), row)

    migrations.upgrade(SERVICE.migrations, url)

    with engine.connect() as connection:
        rows = connection.execute(text("SELECT id, admitted_by FROM members")).all()
        admitted = {UUIDS.index(uuid.UUID(str(row.id))): row.admitted_by for row in rows}
    engine.dispose()
    assert admitted == {member: by for member, (by, _) in HISTORIES.items()}


GRANT = (
    "INSERT INTO support_grants (id, organization_id, provider_id, status, reason, access, "
    "minutes, requested_by, requested_by_name, requested_at, expires_at) VALUES (:id, :id, :id, "
    "'ended', :reason, 'full', 60, 'x', 'Sam Staff', '2026-01-01 00:00:00.000000', "
    "'2026-01-01 00:00:00.000000')"
)


def test_reasons_from_before_do_not_name_staff(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    migrations.upgrade(SERVICE.migrations, url, "0006")
    engine = create_engine(url)
    reasons = ["sam staff looks", "Sam: invoices", "as asked", ""]
    with engine.begin() as connection:
        for number, reason in enumerate(reasons):
            one = {"id": UUIDS[number].hex, "kind": "customer"}
            connection.execute(text(ORGANIZATION), one)
            connection.execute(text(GRANT), one | {"reason": reason})

    migrations.upgrade(SERVICE.migrations, url)

    with engine.connect() as connection:
        kept = connection.execute(text("SELECT reason FROM support_grants ORDER BY id")).scalars()
        assert list(kept) == ["Support looks", "Support: invoices", "as asked", ""]
    engine.dispose()


IDENTITY = (
    "INSERT INTO identities (id, email, email_verified_at, given_name, family_name, status, "
    "created_at) VALUES (:id, :email, :verified_at, 'Mia', 'Smith', 'active', "
    "'2026-01-01 00:00:00.000000')"
)
NAMED = (
    "INSERT INTO members (id, organization_id, identity_id, role, name, status, verified, "
    "sort_name, search, created_at) VALUES (:id, :one, :person, 'member', :name, :status, "
    ":verified, lower(:name), lower(:name), '2026-01-01 00:00:00.000000')"
)


def test_names_from_before_become_labels(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    migrations.upgrade(SERVICE.migrations, url, "0013")
    engine = create_engine(url)
    joined, invited = UUIDS[2].hex, UUIDS[3].hex
    members = (
        (0, joined, "Mia Smith", True),
        (1, joined, "Mia from sales", True),
        (2, joined, "Claim your prize", False),
        (3, invited, "Claim your prize", False),
        (4, None, "Front desk", False),
    )
    at = "2026-01-01 00:00:00.000000"
    with engine.begin() as connection:
        for number, *_ in members:
            one = {"id": UUIDS[number].hex, "kind": "customer"}
            connection.execute(text(ORGANIZATION), one)
            if number in (2, 3):
                when = at if number == 2 else None
                row = one | {"email": f"{number}@acme.example", "verified_at": when}
                connection.execute(text(IDENTITY), row)
        for number, person, name, verified in members:
            row = {"person": person, "name": name, "verified": verified}
            row |= {"id": UUIDS[number].hex, "one": UUIDS[number].hex}
            row["status"] = "active" if verified or not person else "pending"
            connection.execute(text(NAMED), row)

    migrations.upgrade(SERVICE.migrations, url)

    with engine.connect() as connection:
        kept = connection.execute(text("SELECT name, given_name, label FROM members ORDER BY id"))
        assert [tuple(row) for row in kept] == [
            ("Mia Smith", "Mia", None),
            ("Mia Smith", "Mia", "Mia from sales"),
            ("Claim your prize", None, "Claim your prize"),
            ("Claim your prize", None, "Claim your prize"),
            ("Front desk", None, None),
        ]
        searched = connection.execute(
            text("SELECT search FROM members WHERE search LIKE '%sales%'")
        )
        assert searched.scalar() == "mia from sales\nmia smith"
        people = connection.execute(text("SELECT given_name FROM identities ORDER BY id"))
        assert list(people.scalars()) == ["Mia", ""]
    engine.dispose()


MAILED = (
    "INSERT INTO mails (id, purpose, email, member_id, state, attempts, due_at, created_at) VALUES "
    "(:number, :purpose, 'mia@acme.example', :id, :state, 0, '2026-01-01 00:00:00.000000', "
    "'2026-01-01 00:00:00.000000')"
)
TOKEN = (
    "INSERT INTO mailed_tokens (digest, purpose, identity_id, member_id, email, created_at, "
    "expires_at) VALUES (:digest, :purpose, :id, :id, 'mia@acme.example', "
    "'2026-01-01 00:00:00.000000', '2026-01-02 00:00:00.000000')"
)
MOVED = "UPDATE members SET email = 'mia@acme.example' WHERE id = :id"


def test_links_to_addresses_changed_before_are_invitations(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    migrations.upgrade(SERVICE.migrations, url, "0015")
    engine = create_engine(url)
    one = {"id": UUIDS[0].hex, "one": UUIDS[0].hex, "person": UUIDS[0].hex}
    one |= {"email": "mia@acme.example", "name": "Mia", "status": "pending", "kind": "customer"}
    mails = [("verification", "sent"), ("verification", "queued"), ("reset", "sent")]
    verification, reset = tokens.new(), tokens.new()
    with engine.begin() as connection:
        for row in (ORGANIZATION, IDENTITY, NAMED, MOVED):
            connection.execute(text(row), one | {"verified_at": None, "verified": False})
        for number, (purpose, state) in enumerate(mails, 1):
            row = one | {"number": number, "purpose": purpose, "state": state}
            connection.execute(text(MAILED), row)
        for token, purpose in ((verification, "verification"), (reset, "reset")):
            row = one | {"digest": token.digest, "purpose": purpose}
            connection.execute(text(TOKEN), row)

    migrations.upgrade(SERVICE.migrations, url)

    with Session(engine) as session:
        now = datetime(2026, 1, 1, 23, tzinfo=UTC)
        link = queries.link(session, verification.raw, (INVITATION,), now)
        assert link.member is not None and link.needs_password
        sent = session.execute(text("SELECT purpose, state FROM mails ORDER BY id"))
        assert [tuple(row) for row in sent] == [
            ("invitation", "sent"),
            ("invitation", "queued"),
            ("reset", "sent"),
        ]
        kept = session.scalars(text("SELECT purpose FROM mailed_tokens ORDER BY purpose"))
        assert list(kept) == ["invitation", "reset"]
    engine.dispose()


TOTP = (
    "INSERT INTO totps (identity_id, secret, confirmed_at, last_step, failures, shut_until, "
    "short_password) VALUES (:id, :secret, :confirmed_at, 7, :failures, :blocked_until, :short)"
)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_authenticators_from_before_are_kept(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if database == "sqlite":
        url = f"sqlite:///{tmp_path / 'old.db'}"
    else:
        url = request.getfixturevalue("postgres").fresh_database("membership").owner_url
    migrations.upgrade(SERVICE.migrations, url, "0016")
    engine = create_engine(url)
    at = "2026-01-02 00:00:00.000000"
    totps: list[dict[str, Any]] = [
        {"confirmed_at": at, "failures": 3, "blocked_until": None, "short": True},
        {"confirmed_at": at, "failures": 0, "blocked_until": at, "short": False},
        {"confirmed_at": None, "failures": 1, "blocked_until": None, "short": False},
    ]
    with engine.begin() as connection:
        for number in range(4):
            person = {"id": UUIDS[number].hex, "email": f"{number}@acme.example"}
            connection.execute(text(IDENTITY), person | {"verified_at": at})
        for number, totp in enumerate(totps):
            row = totp | {"id": UUIDS[number].hex, "secret": f"secret {number}"}
            connection.execute(text(TOTP), row)

    migrations.upgrade(SERVICE.migrations, url)

    with Session(engine) as session:
        rows = session.scalars(select(Authenticator).order_by(Authenticator.secret)).all()
        confirmed_at = datetime(2026, 1, 2, tzinfo=UTC)
        assert [(row.identity_id, row.kind, row.name, row.last_step) for row in rows] == [
            (ids.of_uuid("idn", UUIDS[number]), "totp", "Authenticator app", 7)
            for number in range(3)
        ]
        assert [row.confirmed_at for row in rows] == [confirmed_at, confirmed_at, None]
        assert [row.created_at for row in rows[:2]] == [confirmed_at] * 2
        people = session.scalars(select(Identity).order_by(Identity.email)).all()
        assert [(p.code_failures, p.codes_blocked_until, p.short_password) for p in people] == [
            (3, None, True),
            (0, confirmed_at, False),
            (1, None, False),
            (0, None, False),
        ]
        session.add(_later_authenticator(rows[0]))
        session.commit()

    command.downgrade(migrations.config(SERVICE.migrations, url), "0016")

    with engine.connect() as connection:
        kept = connection.execute(text("SELECT secret, failures FROM totps ORDER BY secret"))
        assert [tuple(row) for row in kept] == [("secret 0", 3), ("secret 1", 0), ("secret 2", 1)]
    engine.dispose()


def _later_authenticator(first: Authenticator) -> Authenticator:
    """Another one of the same person."""
    later = datetime(2026, 1, 3, tzinfo=UTC)
    return Authenticator(
        id=ids.new("aut"),
        identity_id=first.identity_id,
        kind="totp",
        name="Phone",
        secret="another secret",
        last_step=0,
        created_at=later,
        confirmed_at=later,
    )
