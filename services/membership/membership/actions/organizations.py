"""Organizations as membership knows them: invite the owner, open, change, suspend, end and restore
access."""

from datetime import datetime

from chassis.auth.actor import SYSTEM
from chassis.messaging import outbox
from chassis.runtime import ids
from contracts import membership as messages
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import (
    acting_sessions,
    audit_log,
    identities,
    logouts,
    lost_owners,
    member_events,
    owner_invitations,
    support_grants,
    transfers,
)
from membership.models import Mail, MailedToken, Member, Organization
from membership.values.authority import BY_ORGANIZATION, BY_PROVIDER
from membership.values.lifetimes import ADDRESS_LINKS
from membership.values.support import ORGANIZATION_CHANGED


def invite_owner(
    session: Session,
    *,
    organization_id: str,
    provider_id: str,
    name: str,
    given_name: str,
    family_name: str,
    email: str,
    managed_by: str,
    now: datetime,
) -> None:
    """Create a new customer's owner and invite them by email. A repeated request only gets the
    response again."""
    organization = session.get(Organization, organization_id)
    owner = queries.owner(session, organization_id)
    if organization is None:
        organization = Organization(
            id=organization_id,
            provider_id=provider_id,
            kind="customer",
            name=name,
            state="provisioning",
            managed_by=managed_by,
            created_at=now,
        )
        session.add(organization)
        owner = add_owner(
            session,
            organization=organization,
            given_name=given_name,
            family_name=family_name,
            email=email,
            now=now,
        )
        audit_log.record(
            session, "member.added", organization=organization, member=owner, by=SYSTEM, now=now
        )
        owner_invitations.invite_owner(session, organization=organization, owner=owner, now=now)
    if owner is not None:
        _answer(session, owner)


def _answer(session: Session, owner: Member) -> None:
    """Publish that the owner is invited."""
    at = owner.organization_id
    invited = messages.OwnerInvited(organization_id=at, owner=queries.owner_of(owner))
    outbox.publish(session, invited)
    member_events.publish_members_changed(session, at)


def add_owner(
    session: Session,
    *,
    organization: Organization,
    given_name: str,
    family_name: str,
    email: str,
    now: datetime,
) -> Member:
    """The new owner, not verified yet."""
    identity = identities.find_or_create_identity(session, email=email, now=now)
    session.flush()
    owner = Member(
        id=ids.new("mem"),
        organization_id=organization.id,
        identity_id=identity.id,
        role="owner",
        name=f"{given_name} {family_name}".strip(),
        given_name=given_name,
        family_name=family_name,
        email=identity.email,
        status="pending",
        verified=False,
        created_at=now,
        label=f"{given_name} {family_name}".strip(),
        admitted_by=BY_PROVIDER if organization.kind == "customer" else BY_ORGANIZATION,
    )
    owner.update_search()
    session.add(owner)
    session.flush()
    return owner


def open_organization(session: Session, *, organization_id: str) -> None:
    """A new customer has been set up: its people may log in."""
    organization = queries.organization(session, organization_id, lock="change")
    if organization.state == "provisioning":
        organization.state = "open"


def change_organization(
    session: Session,
    *,
    organization_id: str,
    name: str,
    managed_by: str,
    mfa_required: bool | None,
    now: datetime,
) -> None:
    """Apply a new name or manager, and whether codes are required (None: as before). Support grants
    and Login As sessions end when a customer begins to manage itself: it has not consented to
    them."""
    organization = queries.organization(session, organization_id, lock="change")
    if (organization.managed_by, managed_by) == ("provider", "customer"):
        support_grants.end_grants(
            session, organization_id=organization_id, why=ORGANIZATION_CHANGED, now=now
        )
        acting_sessions.end_without_grant(session, organization_id=organization_id, now=now)
    organization.name, organization.managed_by = name, managed_by
    if mfa_required is not None:
        require_codes(session, organization, required=mfa_required, now=now)


def require_codes(
    session: Session, organization: Organization, *, required: bool, now: datetime
) -> None:
    """Require one-time codes of the people of an organization, or no longer. What they have begun
    without one is over: their access tokens, and where it is a provider, their acting sessions."""
    if required and not organization.mfa_required:
        logouts.revoke_tokens_without_code(session, organization_id=organization.id, now=now)
        acting_sessions.end_without_code(session, provider_id=organization.id, now=now)
    organization.mfa_required = required


def suspend_organization(
    session: Session, *, organization_id: str, now: datetime, conversation_id: str = ""
) -> None:
    """End every session there and refuse further logins. A scheduled transfer of ownership is
    canceled: nobody could stop it meanwhile. ``conversation_id``: the saga to reply to."""
    organization = queries.organization(session, organization_id, lock="change")
    if organization.state in ("provisioning", "open"):
        organization.state = "suspended"
    lost_owners.cancel_scheduled(session, organization=organization, by=SYSTEM, now=now)
    logouts.end_sessions(
        session, organization_id=organization_id, why="organization_suspended", now=now
    )
    if conversation_id:
        outbox.publish(
            session,
            messages.AccessSuspended(
                organization_id=organization_id, conversation_id=conversation_id
            ),
        )


def end_access(session: Session, *, organization_id: str, deletion_id: str, now: datetime) -> None:
    """The account is closed: end all access and invitations. The members are kept in case the
    deletion is canceled."""
    organization = queries.organization(session, organization_id, lock="change")
    if organization.state != "erased":
        organization.state = "ended"
        support_grants.end_grants(
            session, organization_id=organization_id, why=ORGANIZATION_CHANGED, now=now
        )
        logouts.end_sessions(
            session, organization_id=organization_id, why="organization_ended", now=now
        )
        _revoke_invitations(session, organization_id, now)
        transfers.cancel_offer(session, organization=organization, by=SYSTEM, now=now)
    outbox.publish(
        session, messages.AccessEnded(organization_id=organization_id, deletion_id=deletion_id)
    )


def restore_access(
    session: Session, *, organization_id: str, conversation_id: str, suspended: bool
) -> None:
    """Restore access after a deletion or suspension; ended sessions stay ended."""
    organization = queries.organization(session, organization_id, lock="change")
    if organization.state in ("ended", "suspended", "open"):
        organization.state = "suspended" if suspended else "open"
    outbox.publish(
        session,
        messages.AccessRestored(organization_id=organization_id, conversation_id=conversation_id),
    )


def _revoke_invitations(session: Session, organization_id: str, now: datetime) -> None:
    member_ids = select(Member.id).where(Member.organization_id == organization_id)
    session.execute(
        update(MailedToken)
        .where(
            MailedToken.member_id.in_(member_ids),
            MailedToken.purpose.in_(ADDRESS_LINKS),
            MailedToken.superseded_at.is_(None),
        )
        .values(superseded_at=now)
    )
    session.execute(
        update(Mail)
        .where(
            Mail.member_id.in_(member_ids),
            Mail.purpose.in_(ADDRESS_LINKS),
            Mail.state == "queued",
        )
        .values(state="dropped")
    )
