"""The tables, and what their constraints refuse."""

from datetime import UTC, datetime

import argon2
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from chassis import email_addresses
from chassis.db.columns import Base
from chassis.db.database import Database
from chassis.db.migrations import VERSION_TABLE
from chassis.runtime import ids
from membership import models
from membership.values import attempt_limits, passwords, pins, roles
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

NOW = datetime(2026, 1, 31, 9, tzinfo=UTC)


def test_the_migration_makes_exactly_the_models(database):
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"compare_type": True, "include_name": lambda name, *_: name != VERSION_TABLE},
        )
        assert compare_metadata(context, [Base.metadata, models.Base.metadata]) == []


def _organization(session):
    made = models.Organization(
        id=ids.new("org"),
        provider_id=ids.new("org"),
        kind="customer",
        name="Acme",
        state="open",
        managed_by="provider",
        created_at=NOW,
    )
    session.add(made)
    session.flush()
    return made.id


def _member(organization_id, **more):
    made = models.Member(
        id=ids.new("mem"),
        organization_id=organization_id,
        verified=False,
        created_at=NOW,
        **{"role": "member", "name": "Ann", "status": "active", **more},
    )
    made.update_search()
    return made


@pytest.mark.parametrize("twice", [{"role": "owner"}, {"extension": "100"}])
def test_one_owner_and_one_of_each_extension_in_an_organization(database: Database, twice):
    with database.transaction() as session:
        organization_id = _organization(session)
        session.add(_member(organization_id, status="removed", **twice))
        session.add(_member(organization_id, **twice))
        session.flush()
    with pytest.raises(IntegrityError), database.transaction() as session:
        session.add(_member(organization_id, **twice))


def test_instants_keep_their_microseconds_and_ids_their_kind(database: Database):
    at = NOW.replace(microsecond=123456)
    with database.transaction() as session:
        session.add(
            models.Identity(
                id=ids.new("idn"),
                email="a@b.example",
                given_name="A",
                family_name="B",
                status="active",
                created_at=at,
            )
        )
    with database.reading() as session:
        identity = session.scalars(select(models.Identity)).one()
    assert identity.created_at == at and identity.id.startswith("idn_")


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" Ann@Example.COM ", "ann@example.com"),
        ("ANN@EXAMPLE.com", "ann@example.com"),
        ("a\uff4en@example.com", "ann@example.com"),
        ("no address", "no address"),
    ],
)
def test_one_mailbox_has_one_spelling(typed, kept):
    assert email_addresses.key(typed) == kept


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "x" * 129,
        "password1234",
        "PassWord1234",
        "aaaaaaaaaaaaaaaa",
        "121212121212121212",
        "the Acme Ltd login",
        "olga.owner was support",
    ],
)
def test_passwords_that_are_tried_first_are_refused(password):
    with pytest.raises(passwords.errors.Invalid):
        passwords.check(password, context=["Acme Ltd", "olga.owner"])


def test_any_other_password_is_taken():
    passwords.check("four calm otters drift", context=["Acme Ltd", "olga.owner", "it"])
    passwords.check("ユニコードも大丈夫ですよねはい", context=[])


def test_hashes_are_argon2id_of_the_decided_strength():
    kept = passwords.Hasher().hash("four calm otters drift")
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert not passwords.Hasher().needs_rehash(kept)


def test_without_a_password_the_work_is_the_same(monkeypatch):
    compared, verify = [], argon2.PasswordHasher.verify
    monkeypatch.setattr(
        argon2.PasswordHasher,
        "verify",
        lambda self, kept, given: compared.append(kept) or verify(self, kept, given),
    )
    hasher = passwords.Hasher(memory_kib=16, passes=3)
    for kept in (None, hasher.hash("four calm otters drift")):
        assert not hasher.matches(kept, "wrong")
    assert [k.split("$")[3] for k in compared] == ["m=16,t=3,p=1"] * 2


def test_nobody_has_a_password_that_matches_nothing():
    hasher = passwords.Hasher(memory_kib=8, passes=1)
    assert not hasher.matches(None, "nobody has this password")
    assert hasher.matches(hasher.hash("caf\u00e9 au lait please"), "cafe\u0301 au lait please")


@pytest.mark.parametrize(
    "pin", ["000000", "123456", "987654", "121212", "123123", "112233", "199902", "771234"]
)
def test_weak_pins_are_never_given(pin):
    assert pins.is_weak(pin)


def test_pins_have_six_digits():
    made = {pins.new() for _ in range(200)}
    assert len(made) > 150 and all(
        len(p) == 6 and p.isdigit() and not pins.is_weak(p) for p in made
    )


def test_waits_grow_from_the_fifth_failure():
    seconds = [attempt_limits.backoff(n).total_seconds() for n in (0, 4, 5, 6, 7, 8, 14, 15, 1000)]
    assert seconds == [0, 0, 1, 2, 4, 8, 512, 900, 900]


@pytest.mark.parametrize(
    ("kind", "role", "preset", "named"),
    [
        ("provider", "owner", None, "owner"),
        ("provider", "admin", "viewer", "manager"),
        ("provider", "member", "billing", "billing"),
        ("provider", "member", None, "viewer"),
        ("customer", "owner", None, "owner"),
        ("customer", "admin", None, "admin"),
        ("customer", "member", None, "member"),
    ],
)
def test_roles_as_tokens_name_them(kind, role, preset, named):
    assert roles.in_token(kind, role, preset) == named
    assert roles.scopes(kind, named)
