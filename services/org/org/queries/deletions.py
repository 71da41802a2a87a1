"""Deletions of an organization."""

from collections.abc import Sequence

from chassis.errors import NotFound
from sqlalchemy import select
from sqlalchemy.orm import Session

from org.models import Deletion


class NoDeletion(NotFound):
    code = "not_found"
    detail = "No deletion of this organization has been requested."


def latest_deletion(session: Session, organization_id: str) -> Deletion:
    """The last deletion that was requested. Raises NoDeletion."""
    deletion = session.scalars(
        select(Deletion)
        .where(Deletion.organization_id == organization_id)
        .order_by(Deletion.requested_at.desc(), Deletion.id.desc())
        .limit(1)
    ).one_or_none()
    if deletion is None:
        raise NoDeletion()
    return deletion


def all_deletions(session: Session, organization_id: str) -> Sequence[Deletion]:
    """Every deletion that was requested."""
    return session.scalars(
        select(Deletion).where(Deletion.organization_id == organization_id)
    ).all()
