"""Email addresses whose mail went to another domain are verified again.

Mail to a domain with one of four characters (as in ``straße.example``) was sent to the domain of
another spelling (``strasse.example``). Its reader may have chosen the password, so the login starts
again with an invitation to the right address. Addresses that no mail can be sent to are
reported only.

Revision ID: 0005
Revises: 0004
"""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op
from chassis import email_addresses
from chassis.db.columns import BigInt, Id, Instant
from chassis.runtime import log

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_LOG = log.get("migrate")
_IDENTITIES = sa.table(
    "identities",
    sa.column("id", Id("idn")),
    sa.column("email"),
    sa.column("email_verified_at", Instant),
    sa.column("password_hash"),
)
_MEMBERS = sa.table(
    "members",
    sa.column("id", Id("mem")),
    sa.column("organization_id", Id("org")),
    sa.column("identity_id", Id("idn")),
    sa.column("email"),
    sa.column("status"),
    sa.column("verified"),
)
_SESSIONS = sa.table(
    "sessions",
    sa.column("identity_id", Id("idn")),
    sa.column("ended_at", Instant),
    sa.column("ended_why"),
)
_MAILED_TOKENS = sa.table(
    "mailed_tokens",
    sa.column("identity_id", Id("idn")),
    sa.column("used_at", Instant),
    sa.column("superseded_at", Instant),
)
_MAILS = sa.table(
    "mails",
    sa.column("purpose"),
    sa.column("email"),
    sa.column("member_id", Id("mem")),
    sa.column("state"),
    sa.column("attempts", BigInt),
    sa.column("due_at", Instant),
    sa.column("created_at", Instant),
)
_SECOND_FACTORS = tuple(
    sa.table(name, sa.column("identity_id", Id("idn"))) for name in ("totps", "recovery_codes")
)


def upgrade() -> None:
    connection = op.get_bind()
    known = connection.execute(
        sa.select(_IDENTITIES.c.id, _IDENTITIES.c.email).where(_IDENTITIES.c.email.is_not(None))
    ).all()
    for identity in known:
        if email_addresses.was_delivered_elsewhere(identity.email):
            _verify_again(connection, identity.id, identity.email)
        elif not email_addresses.is_valid(identity.email):
            _LOG.warning("address.invalid", identity_id=identity.id)


def _verify_again(connection: sa.Connection, identity_id: str, email: str) -> None:
    now = datetime.now(UTC)

    def theirs(table: Any) -> Any:
        return table.c.identity_id == identity_id

    connection.execute(
        sa.update(_IDENTITIES)
        .where(_IDENTITIES.c.id == identity_id)
        .values(email_verified_at=None, password_hash=None)
    )
    for table in _SECOND_FACTORS:
        connection.execute(sa.delete(table).where(theirs(table)))
    connection.execute(
        sa.update(_SESSIONS)
        .where(theirs(_SESSIONS), _SESSIONS.c.ended_at.is_(None))
        .values(ended_at=now, ended_why="address_changed")
    )
    unused = (_MAILED_TOKENS.c.used_at.is_(None), _MAILED_TOKENS.c.superseded_at.is_(None))
    connection.execute(
        sa.update(_MAILED_TOKENS).where(theirs(_MAILED_TOKENS), *unused).values(superseded_at=now)
    )
    current = _MEMBERS.c.status.in_(("pending", "active", "disabled"))
    members = connection.execute(sa.select(_MEMBERS).where(theirs(_MEMBERS), current)).all()
    for member in members:
        status = "pending" if member.status == "active" else member.status
        connection.execute(
            sa.update(_MEMBERS)
            .where(_MEMBERS.c.id == member.id)
            .values(verified=False, status=status)
        )
        connection.execute(
            sa.insert(_MAILS).values(
                purpose="invitation",
                email=email,
                member_id=member.id,
                state="queued",
                attempts=0,
                due_at=now,
                created_at=now,
            )
        )
        _LOG.warning(
            "address.verified_again",
            member_id=member.id,
            organization_id=member.organization_id,
        )


def downgrade() -> None:
    pass  # What was verified at another domain stays unverified.
