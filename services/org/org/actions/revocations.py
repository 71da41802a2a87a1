"""Revoking the tokens of an organization."""

from datetime import datetime

from sqlalchemy.orm import Session

from org import queries
from org.models import Revocation

_BATCH = 500


def revoke(session: Session, organization_id: str, state: str, now: datetime) -> None:
    """Tell the gateway that the organization's tokens are void (``closed``) or that new ones are
    valid again (``open``)."""
    session.add(Revocation(organization_id=organization_id, state=state, at=now))


def delete_expired_revocations(session: Session, *, now: datetime) -> int:
    """Delete a batch of what no valid token can meet; returns how many."""
    expired = queries.expired_revocations(session, now=now, limit=_BATCH)
    for revocation in expired:
        session.delete(revocation)
    return len(expired)
