"""Rows of the merged audit do not change, except that the names in them are erased.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_FIXED = "id, organization_id, service, at, action, outcome, actor_id, actor_kind, target_id, request_id, hash, message_id"
_FOUND_BY = ("action", "outcome", "actor_id", "actor_kind", "target_id")
_FILL = """
    UPDATE trail SET actor_kind = actor ->> 'kind', target_id = target ->> 'id',
        actor_id = coalesce(actor -> 'acting' ->> 'sub', actor ->> 'id')
"""
# A row changes once, when it is erased: names, values and reasons go, ids and kinds stay.
_ERASES = """
    NOT OLD.erased AND NEW.erased AND NEW.reason IS NULL
    AND coalesce(NEW.actor ->> 'label', 'Erased') IN ('Erased', 'System')
    AND coalesce(NEW.target ->> 'label', 'Erased') = 'Erased'
    AND coalesce(NEW.actor ->> 'id', '') = coalesce(OLD.actor ->> 'id', '')
    AND coalesce(NEW.actor ->> 'kind', '') = coalesce(OLD.actor ->> 'kind', '')
    AND coalesce(NEW.target ->> 'id', '') = coalesce(OLD.target ->> 'id', '')
"""
_PRIVILEGES = """
    DO $$ BEGIN
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = current_database() || '_app') THEN
            EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM %I', current_database() || '_app');
            EXECUTE format('GRANT UPDATE ({parts}) ON {table} TO %I', current_database() || '_app');
        END IF;
    END $$
"""


def upgrade() -> None:
    op.add_column("trail", sa.Column("actor_id", sa.String(length=128), nullable=True))
    op.add_column("trail", sa.Column("actor_kind", sa.String(length=16), nullable=True))
    op.add_column("trail", sa.Column("target_id", sa.String(length=128), nullable=True))
    op.add_column(
        "trail", sa.Column("erased", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.execute(_FILL)
    for name in _FOUND_BY:
        op.create_index(
            f"ix_trail_{name}", "trail", ["organization_id", name, "at", "id"], unique=False
        )
    _protect("trail", _FIXED, "actor, target, changes, reason, erased", _ERASES)


def _protect(table: str, fixed: str, parts: str, erases: str) -> None:
    """Rows are added and erased: everything else is refused, by triggers for everybody, for the
    application also by its privileges."""
    if op.get_context().dialect.name == "postgresql":
        refused = "FOR EACH {each} {when} EXECUTE FUNCTION refuse_audit_change()"
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            + refused.format(each="STATEMENT", when="")
        )
        op.execute(_PRIVILEGES.format(table=table, parts=parts))
    else:
        refused = (
            "FOR EACH {each} {when} BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"
        )
    for name, event, when in (
        ("no_delete", "DELETE", ""),
        ("no_change", f"UPDATE OF {fixed}", ""),
        ("only_erased", "UPDATE", f"WHEN (NOT ({erases}))"),
    ):
        op.execute(
            f"CREATE TRIGGER {table}_{name} BEFORE {event} ON {table} "
            + refused.format(each="ROW", when=when)
        )


def downgrade() -> None:
    raise NotImplementedError("what is protected stays protected")
