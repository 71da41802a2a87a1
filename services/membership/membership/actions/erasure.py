"""Erasure of the personal data of an organization's members."""

from datetime import datetime

from chassis import audit
from chassis.messaging import outbox
from contracts import membership as messages
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import attempts, identities, keys, logouts, support_grants
from membership.models import Mail, MailedToken, Member, OwnershipTransfer
from membership.values import attempt_limits


def erase_members(
    session: Session, *, organization_id: str, deletion_id: str, now: datetime
) -> None:
    """Erase the personal data of everyone in the organization. People who are members elsewhere
    keep their identity."""
    organization = queries.organization(session, organization_id, lock="change")
    organization.state = "erased"
    logouts.end_sessions(session, organization_id=organization_id, why="erased", now=now)
    _erase_people(session, organization_id, now)
    support_grants.erase_reasons(session, organization_id=organization_id)
    session.execute(
        update(OwnershipTransfer)
        .where(OwnershipTransfer.organization_id == organization_id)
        .values(reason="")
    )
    keys.erase_keys(session, organization_id=organization_id)
    attempts.clear_all(session, prefix=attempt_limits.pin_key(organization_id))
    audit.erase(session, organization_id)
    outbox.publish(
        session, messages.MembersErased(organization_id=organization_id, deletion_id=deletion_id)
    )


def _erase_people(session: Session, organization_id: str, now: datetime) -> None:
    """Erase what is personal from the members, whose rows stay, and from the identities behind
    them."""
    in_organization = Member.organization_id == organization_id
    replaced = {
        "name": "Erased",
        "sort_name": "erased",
        "search": "erased",
        "status": "erased",
        "verified": False,
    }
    cleared = dict.fromkeys(
        ("given_name", "family_name", "email", "extension", "pin_hash", "invited_by")
    )
    session.execute(
        update(Member).where(in_organization).values(**replaced, **cleared),
        execution_options={"synchronize_session": False},
    )
    session.expire_all()
    member_ids = select(Member.id).where(in_organization)
    identity_ids = session.scalars(select(Member.identity_id).where(in_organization))
    former = identities.former_identities(session, member_ids)
    identities.erase_if_unused(session, which=[*identity_ids, *former], now=now)
    session.execute(delete(Mail).where(Mail.member_id.in_(member_ids)))
    session.execute(delete(MailedToken).where(MailedToken.member_id.in_(member_ids)))
