"""Several authenticators per person. Failed codes and whether the password is short belong to the
person.

Revision ID: 0017
Revises: 0016
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op
from chassis.db.columns import BigInt, Id, Instant

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

UNCONFIRMED = sa.text("confirmed_at IS NULL")
IDENTITIES = sa.table(
    "identities",
    sa.column("id"),
    sa.column("code_failures"),
    sa.column("codes_blocked_until"),
    sa.column("short_password"),
)
TOTPS = sa.table(
    "totps",
    sa.column("identity_id"),
    sa.column("secret"),
    sa.column("confirmed_at", Instant),
    sa.column("last_step"),
    sa.column("failures"),
    sa.column("shut_until"),
    sa.column("short_password"),
)
AUTHENTICATORS = sa.table(
    "authenticators",
    sa.column("id"),
    sa.column("identity_id"),
    sa.column("kind"),
    sa.column("name"),
    sa.column("secret"),
    sa.column("last_step"),
    sa.column("created_at", Instant),
    sa.column("confirmed_at", Instant),
)
# Of the person's authenticators, the one that an older version knows.
FIRST = (
    sa.select(AUTHENTICATORS.c.id)
    .where(AUTHENTICATORS.c.identity_id == IDENTITIES.c.id)
    .order_by(AUTHENTICATORS.c.confirmed_at.is_(None), AUTHENTICATORS.c.created_at)
    .limit(1)
    .correlate(IDENTITIES)
    .scalar_subquery()
)


def upgrade() -> None:
    op.create_table(
        "authenticators",
        sa.Column("id", Id("aut"), nullable=False),
        sa.Column("identity_id", Id("idn"), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("secret", sa.String(length=255), nullable=False),
        sa.Column("last_step", BigInt, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("confirmed_at", Instant, nullable=True),
        sa.Column("last_used_at", Instant, nullable=True),
        sa.ForeignKeyConstraint(
            ["identity_id"], ["identities.id"], name=op.f("fk_authenticators_identity_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authenticators")),
    )
    op.create_index("ix_authenticators_identity_id", "authenticators", ["identity_id"])
    op.create_index(
        "uq_authenticators_unconfirmed",
        "authenticators",
        ["identity_id"],
        unique=True,
        postgresql_where=UNCONFIRMED,
        sqlite_where=UNCONFIRMED,
    )
    # There is one for each person, so the person's UUID is unique here too.
    created_at = sa.func.coalesce(TOTPS.c.confirmed_at, sa.literal(datetime.now(UTC), Instant))
    known = (TOTPS.c.secret, TOTPS.c.last_step, created_at, TOTPS.c.confirmed_at)
    who = (TOTPS.c.identity_id, TOTPS.c.identity_id)
    what = (sa.literal("totp"), sa.literal("Authenticator app"))
    columns = list(AUTHENTICATORS.c)
    op.execute(sa.insert(AUTHENTICATORS).from_select(columns, sa.select(*who, *what, *known)))

    for column in (
        sa.Column("code_failures", sa.Integer, server_default="0", nullable=False),
        sa.Column("codes_blocked_until", Instant, nullable=True),
        sa.Column("short_password", sa.Boolean, server_default=sa.false(), nullable=False),
    ):
        op.add_column("identities", column)
    _copy_to_people()
    op.drop_table("totps")


def _copy_to_people() -> None:
    theirs = TOTPS.c.identity_id == IDENTITIES.c.id
    copied = {
        "code_failures": TOTPS.c.failures,
        "codes_blocked_until": TOTPS.c.shut_until,
        "short_password": TOTPS.c.short_password,
    }
    op.execute(
        sa.update(IDENTITIES)
        .where(IDENTITIES.c.id.in_(sa.select(TOTPS.c.identity_id)))
        .values({name: sa.select(c).where(theirs).scalar_subquery() for name, c in copied.items()})
    )


def downgrade() -> None:
    op.create_table(
        "totps",
        sa.Column("identity_id", Id("idn"), nullable=False),
        sa.Column("secret", sa.String(length=255), nullable=False),
        sa.Column("confirmed_at", Instant, nullable=True),
        sa.Column("last_step", BigInt, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("shut_until", Instant, nullable=True),
        sa.Column("short_password", sa.Boolean, nullable=False),
        sa.ForeignKeyConstraint(
            ["identity_id"], ["identities.id"], name=op.f("fk_totps_identity_id")
        ),
        sa.PrimaryKeyConstraint("identity_id", name=op.f("pk_totps")),
    )
    first = sa.select(
        IDENTITIES.c.id,
        AUTHENTICATORS.c.secret,
        AUTHENTICATORS.c.confirmed_at,
        AUTHENTICATORS.c.last_step,
        IDENTITIES.c.code_failures,
        IDENTITIES.c.codes_blocked_until,
        IDENTITIES.c.short_password,
    ).join_from(IDENTITIES, AUTHENTICATORS, AUTHENTICATORS.c.id == FIRST)
    op.execute(sa.insert(TOTPS).from_select(list(TOTPS.c), first))
    for column in ("short_password", "codes_blocked_until", "code_failures"):
        op.drop_column("identities", column)
    op.drop_table("authenticators")
