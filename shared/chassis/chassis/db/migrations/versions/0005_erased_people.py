"""The names of people who were erased are taken out of the rows of the audit log.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# A row changes when it is erased: names, values and reasons go, ids and kinds stay.
_ERASES = """
    NOT OLD.erased AND NEW.erased AND NEW.reason IS NULL
    AND coalesce(NEW.actor ->> 'label', 'Erased') IN ('Erased', 'System')
    AND coalesce(NEW.target ->> 'label', 'Erased') = 'Erased'
    AND coalesce(NEW.actor ->> 'id', '') = coalesce(OLD.actor ->> 'id', '')
    AND coalesce(NEW.actor ->> 'kind', '') = coalesce(OLD.actor ->> 'kind', '')
    AND coalesce(NEW.target ->> 'id', '') = coalesce(OLD.target ->> 'id', '')
"""
# Or when somebody whom it names is erased: then nothing else changes, except changed values of
# theirs.
_REMOVES_PERSON = """
    NOT OLD.erased AND NOT NEW.erased
    AND coalesce(NEW.reason, '') = coalesce(OLD.reason, '')
    AND coalesce(NEW.actor ->> 'id', '') = coalesce(OLD.actor ->> 'id', '')
    AND coalesce(NEW.actor ->> 'kind', '') = coalesce(OLD.actor ->> 'kind', '')
    AND coalesce(NEW.actor -> 'acting' ->> 'sub', '')
        = coalesce(OLD.actor -> 'acting' ->> 'sub', '')
    AND coalesce(NEW.target ->> 'id', '') = coalesce(OLD.target ->> 'id', '')
    AND coalesce(NEW.target ->> 'type', '') = coalesce(OLD.target ->> 'type', '')
    AND coalesce(NEW.actor ->> 'label', '')
        IN (coalesce(OLD.actor ->> 'label', ''), 'Removed person')
    AND coalesce(NEW.actor -> 'acting' ->> 'name', '')
        IN (coalesce(OLD.actor -> 'acting' ->> 'name', ''), 'Removed person')
    AND coalesce(NEW.target ->> 'label', '')
        IN (coalesce(OLD.target ->> 'label', ''), 'Removed person')
    AND 'Removed person' IN (
        coalesce(NEW.actor ->> 'label', ''),
        coalesce(NEW.actor -> 'acting' ->> 'name', ''),
        coalesce(NEW.target ->> 'label', '')
    )
    AND (
        coalesce(NEW.target ->> 'label', '') = 'Removed person'
        OR CAST(NEW.changes AS TEXT) = CAST(OLD.changes AS TEXT)
    )
"""
_NAMINGS = (
    ("actor", "(actor ->> 'id')", "(actor ->> 'label')"),
    ("acting", "((actor -> 'acting') ->> 'sub')", "((actor -> 'acting') ->> 'name')"),
    ("target", "(target ->> 'id')", "(target ->> 'label')"),
)


def upgrade() -> None:
    op.create_table(
        "audit_erased_people",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("watched", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_erased_people")),
    )
    op.create_index(
        "ix_audit_erased_people_watched",
        "audit_erased_people",
        ["erased_at"],
        postgresql_where=sa.text("watched"),
        sqlite_where=sa.text("watched"),
    )
    _index_names("audit_entries")
    _allow("audit_entries", f"(({_ERASES}) OR ({_REMOVES_PERSON})) AND NEW.salt IS NULL")


def _allow(table: str, changes: str) -> None:
    """Refuse every change of a row of the audit but these."""
    on_table, refused = "", "SELECT RAISE(ABORT, 'the audit is append-only')"
    if op.get_context().dialect.name == "postgresql":
        on_table, action = f" ON {table}", "EXECUTE FUNCTION refuse_audit_change()"
    else:
        action = f"BEGIN {refused}; END"
    op.execute(f"DROP TRIGGER {table}_only_erased{on_table}")
    op.execute(
        f"CREATE TRIGGER {table}_only_erased BEFORE UPDATE ON {table} "
        f"FOR EACH ROW WHEN (NOT ({changes})) {action}"
    )


def _index_names(table: str) -> None:
    """Find the rows that still name a person."""
    for part, id_, name in _NAMINGS:
        still = sa.text(f"{name} <> 'Removed person'")
        op.create_index(
            f"ix_{table}_named_{part}",
            table,
            [sa.text(id_)],
            postgresql_where=still,
            sqlite_where=still,
        )


def downgrade() -> None:
    raise NotImplementedError("the protection cannot be removed")
