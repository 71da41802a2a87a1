"""Organizations as known here: made, opened, shut, ended, restored, erased."""

from datetime import datetime
from typing import Any

from chassis import audit
from chassis.auth.actor import SYSTEM
from chassis.errors import Conflict
from chassis.messaging import outbox
from chassis.runtime import ids
from contracts import membership as messages
from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import (
    attempts,
    audit_log,
    identities,
    invitations,
    keys,
    member_events,
    sessions,
    support,
    transfers,
)
from membership.models import (
    Counter,
    Mail,
    MailedToken,
    Member,
    Organization,
    OwnershipTransfer,
    ProviderSettings,
)
from membership.values import pins
from membership.values.lifetimes import INVITATION, PROOFS
from membership.values.support import BY_PROVIDER, ORGANIZATION_CHANGED


class ProviderExists(Conflict):
    code = "provider_exists"
    detail = "A provider with this name already exists."


NEUTRAL = {
    "country": "DE",
    "currency": "EUR",
    "timezone": "Europe/Berlin",
    "given_name": "First",
    "family_name": "Admin",
}


def ensure_provider(
    session: Session,
    *,
    name: str,
    country: str,
    currency: str,
    timezone: str,
    email: str,
    given_name: str,
    family_name: str,
    password_hash: str,
    now: datetime,
) -> Organization | None:
    """The provider and its owner, unless they exist: None then. Whoever comes first makes them,
    others wait."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    first = (
        insert(Counter)
        .values(name="provider", value=1)
        .on_conflict_do_nothing()
        .returning(Counter.value)
    )
    if session.execute(first).first() is None:
        return None
    return create_provider(
        session,
        name=name,
        country=country,
        currency=currency,
        timezone=timezone,
        email=email,
        given_name=given_name,
        family_name=family_name,
        password_hash=password_hash,
        now=now,
    )


def add_provider(session: Session, *, name: str, email: str, **wanted: Any) -> bool:
    """A further provider; whether its owner is new here, and so has the given password. Raises
    ProviderExists."""
    same = select(Organization.id).where(Organization.kind == "provider", Organization.name == name)
    if session.execute(same).first() is not None:
        raise ProviderExists()
    known = queries.identity_by_email(session, email)
    is_new = known is None or known.password_hash is None
    create_provider(session, name=name, email=email, **wanted)
    return is_new


def create_provider(
    session: Session,
    *,
    name: str,
    country: str,
    currency: str,
    timezone: str,
    email: str,
    given_name: str,
    family_name: str,
    password_hash: str,
    now: datetime,
) -> Organization:
    """A provider with an owner who may log in at once; somebody known already keeps their
    password."""
    organization_id = ids.new("org")
    organization = Organization(
        id=organization_id,
        provider_id=organization_id,
        kind="provider",
        name=name,
        state="open",
        managed_by="provider",
        created_at=now,
    )
    session.add(organization)
    owner = _add_owner(session, organization, given_name, family_name, email, now)
    owner.status, owner.verified = "active", True
    identity = queries.identity_by_email(session, email)
    if identity is None:
        raise LookupError(email)
    identity.password_hash, identity.email_verified_at = (
        identity.password_hash or password_hash,
        now,
    )
    outbox.publish(
        session,
        messages.ProviderCreated(
            organization_id=organization_id,
            name=name,
            country=country,
            currency=currency,
            timezone=timezone,
            owner=member_events.owner_of(owner),
        ),
    )
    member_events.publish_members_changed(session, organization_id)
    audit_log.record(
        session, "member.added", organization=organization, member=owner, by=SYSTEM, now=now
    )
    return organization


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
    """Make a new customer's owner and invite them by mail; asked again, only answer again."""
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
        owner = _add_owner(session, organization, given_name, family_name, email, now)
        audit_log.record(
            session, "member.added", organization=organization, member=owner, by=SYSTEM, now=now
        )
        invitations.invite(
            session, organization=organization, member=owner, purpose=INVITATION, by=SYSTEM, now=now
        )
    if owner is not None:
        outbox.publish(
            session,
            messages.OwnerInvited(
                organization_id=organization_id, owner=member_events.owner_of(owner)
            ),
        )
        member_events.publish_members_changed(session, organization_id)


def open_organization(session: Session, *, organization_id: str) -> None:
    """A new customer is ready: people may log in."""
    organization = queries.organization(session, organization_id, lock="change")
    if organization.state == "provisioning":
        organization.state = "open"


def change_organization(
    session: Session, *, organization_id: str, name: str, managed_by: str, now: datetime
) -> None:
    """Take over what is shown of an organization. A customer that manages itself from now on has
    consented to nothing yet."""
    organization = queries.organization(session, organization_id, lock="change")
    if (organization.managed_by, managed_by) == ("provider", "customer"):
        support.end_grants(
            session, organization_id=organization_id, why=ORGANIZATION_CHANGED, now=now
        )
    organization.name, organization.managed_by = name, managed_by


def suspend_organization(session: Session, *, organization_id: str, now: datetime) -> None:
    """Nobody logs in any more, and whoever is in is out."""
    organization = queries.organization(session, organization_id, lock="change")
    if organization.state in ("provisioning", "open"):
        organization.state = "suspended"
    sessions.end_sessions(
        session, organization_id=organization_id, why="organization_suspended", now=now
    )


def end_access(session: Session, *, organization_id: str, deletion_id: str, now: datetime) -> None:
    """The account is closed: everybody out, open invitations revoked; the people are kept for a
    change of mind."""
    organization = queries.organization(session, organization_id, lock="change")
    if organization.state != "erased":
        organization.state = "ended"
        support.end_grants(
            session, organization_id=organization_id, why=ORGANIZATION_CHANGED, now=now
        )
        sessions.end_sessions(
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
    """The organization comes back; nobody is logged in by that."""
    organization = queries.organization(session, organization_id, lock="change")
    if organization.state in ("ended", "suspended", "open"):
        organization.state = "suspended" if suspended else "open"
    outbox.publish(
        session,
        messages.AccessRestored(organization_id=organization_id, conversation_id=conversation_id),
    )


def erase_members(
    session: Session, *, organization_id: str, deletion_id: str, now: datetime
) -> None:
    """Erase the personal data of everybody in the organization; who belongs elsewhere too lives on
    there."""
    organization = queries.organization(session, organization_id, lock="change")
    organization.state = "erased"
    sessions.end_sessions(session, organization_id=organization_id, why="erased", now=now)
    _erase_people(session, organization_id, now)
    support.forget_words(session, organization_id=organization_id)
    session.execute(
        update(OwnershipTransfer)
        .where(OwnershipTransfer.organization_id == organization_id)
        .values(reason="")
    )
    keys.erase_keys(session, organization_id=organization_id)
    attempts.forget_all(session, prefix=pins.guesses_key(organization_id))
    audit.erase(session, organization_id)
    outbox.publish(
        session, messages.MembersErased(organization_id=organization_id, deletion_id=deletion_id)
    )


def apply_settings(
    session: Session, *, provider_id: str, version: int, settings: dict[str, Any], now: datetime
) -> None:
    """Work by the provider's settings from now on, unless newer ones are known."""
    session.get(Organization, provider_id, with_for_update=True)  # nobody logs in meanwhile
    known = queries.settings_of(session, provider_id, lock="change")
    if known is None:
        known = ProviderSettings(provider_id=provider_id, version=0, settings={})
        session.add(known)
    if version >= known.version:
        if settings.get("mfa_required") and not known.settings.get("mfa_required"):
            sessions.outdate_tokens(session, organization_id=provider_id, now=now)
        known.version, known.settings = version, settings
        if not settings.get("managed_service"):
            support.end_grants(session, provider_id=provider_id, why=BY_PROVIDER, now=now)
    outbox.publish(
        session, messages.SettingsApplied(provider_id=provider_id, version=known.version)
    )


def _add_owner(
    session: Session,
    organization: Organization,
    given_name: str,
    family_name: str,
    email: str,
    now: datetime,
) -> Member:
    identity = identities.find_or_create_identity(
        session, email=email, given_name=given_name, family_name=family_name, now=now
    )
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
    )
    owner.refold()
    session.add(owner)
    session.flush()
    return owner


def _erase_people(session: Session, organization_id: str, now: datetime) -> None:
    """Take everything personal off the memberships, which stay only as rows, and off those who had
    them."""
    here = Member.organization_id == organization_id
    gone = {
        "name": "Erased",
        "sort_name": "erased",
        "search": "erased",
        "status": "erased",
        "verified": False,
    }
    nothing = dict.fromkeys(
        ("given_name", "family_name", "email", "extension", "pin_hash", "invited_by")
    )
    session.execute(
        update(Member).where(here).values(**gone, **nothing),
        execution_options={"synchronize_session": False},
    )
    session.expire_all()
    member_ids, people = (
        select(Member.id).where(here),
        session.scalars(select(Member.identity_id).where(here)),
    )
    former = identities.former_of(session, member_ids)
    identities.erase_if_alone(session, which=[*people, *former], now=now)
    session.execute(delete(Mail).where(Mail.member_id.in_(member_ids)))
    session.execute(delete(MailedToken).where(MailedToken.member_id.in_(member_ids)))


def _revoke_invitations(session: Session, organization_id: str, now: datetime) -> None:
    member_ids = select(Member.id).where(Member.organization_id == organization_id)
    session.execute(
        update(MailedToken)
        .where(
            MailedToken.member_id.in_(member_ids),
            MailedToken.purpose.in_(PROOFS),
            MailedToken.superseded_at.is_(None),
        )
        .values(superseded_at=now)
    )
    session.execute(
        update(Mail)
        .where(Mail.member_id.in_(member_ids), Mail.purpose.in_(PROOFS), Mail.state == "queued")
        .values(state="dropped")
    )
