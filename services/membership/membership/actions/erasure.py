"""Erasure of the personal data of members: of everyone in an organization, or of those removed."""

from datetime import datetime

from chassis import audit
from chassis.audit import REMOVED_PERSON
from chassis.messaging import outbox
from contracts import membership as messages
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import attempts, audit_log, identities, keys, logouts, support_grants
from membership.models import (
    ActingSession,
    ApiKey,
    Identity,
    Mail,
    MailedToken,
    Member,
    OwnershipTransfer,
    SupportGrant,
)
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


def erase_removed_member(session: Session, *, member: Member, now: datetime) -> None:
    """Erase a removed member and the identity behind it, unless the person is a member elsewhere.
    The address is free again, and neither API keys, support access nor the audit log name them
    any longer."""
    identities.erase_if_unused(session, which=[member.identity_id], now=now)
    if member.identity_id is not None:
        identity = session.get_one(Identity, member.identity_id, populate_existing=True)
        if identity.status != "erased":
            return
    member.name, member.status, member.verified = REMOVED_PERSON, "erased", False
    member.given_name = member.family_name = member.label = None
    member.email = member.pending_email = member.last_signed_in_at = None
    member.extension = member.pin_hash = member.invited_by = None
    member.update_search()
    session.execute(delete(Mail).where(Mail.member_id == member.id))
    logins = {*queries.former_logins(session, member.id)}
    if member.identity_id is not None:
        logins.add(member.identity_id)
    _erase_names(session, logins)
    audit_log.erase_people(session, {member.id, *logins}, now=now)


def erase_removed(session: Session, *, now: datetime, limit: int = 100) -> int:
    """Erase people who were removed before removal erased them; returns how many members."""
    removed = queries.removed_without_membership(session, limit)
    for member in removed:
        erase_removed_member(session, member=member, now=now)
    return sum(member.status == "erased" for member in removed)


def _erase_names(session: Session, logins: set[str]) -> None:
    """Replace the names that API keys and support access keep of these erased identities."""
    for by, name in (
        (ApiKey.created_by, ApiKey.created_by_name),
        (SupportGrant.requested_by, SupportGrant.requested_by_name),
        (SupportGrant.decided_by, SupportGrant.decided_by_name),
        (ActingSession.staff_identity_id, ActingSession.staff_name),
    ):
        session.execute(
            update(by.class_)
            .where(by.in_(logins), name.is_not(None))
            .values({name: REMOVED_PERSON})
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
        (
            "given_name",
            "family_name",
            "label",
            "email",
            "pending_email",
            "extension",
            "pin_hash",
            "invited_by",
            "last_signed_in_at",
        )
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
