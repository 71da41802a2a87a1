"""Providers: create them, and apply their settings."""

from datetime import datetime
from typing import Any

from chassis import email_addresses, errors, names
from chassis.auth.actor import SYSTEM
from chassis.db import upserts
from chassis.errors import Conflict
from chassis.messaging import outbox
from chassis.runtime import ids
from contracts import membership as messages
from sqlalchemy import select
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import (
    audit_log,
    member_events,
    organizations,
    owner_invitations,
    person_names,
    support_grants,
)
from membership.models import Counter, Member, Organization, ProviderSettings
from membership.values.support import BY_PROVIDER


class ProviderExists(Conflict):
    code = "provider_exists"
    detail = "A provider with this name already exists."


DEFAULTS = {
    "country": "DE",
    "currency": "EUR",
    "timezone": "Europe/Berlin",
    "given_name": "First",
    "family_name": "Admin",
}


def ensure_provider(session: Session, **fields: Any) -> Organization | None:
    """Create the first provider with its owner; returns None if there is one.

    ``fields``: those of ``create_provider``. Of several callers at once the first creates it."""
    first = (
        upserts.insert(session, Counter)
        .values(name="provider", value=1)
        .on_conflict_do_nothing()
        .returning(Counter.value)
    )
    if session.execute(first).first() is None:
        return None
    return create_provider(session, **fields)


def add_provider(session: Session, *, name: str, email: str, **fields: Any) -> bool:
    """Create another provider; returns whether its owner is new here and so has the given password.
    Raises ProviderExists."""
    same_name = select(Organization.id).where(
        Organization.kind == "provider", Organization.name == name
    )
    if session.execute(same_name).first() is not None:
        raise ProviderExists()
    identity = queries.identity_by_email(session, email)
    is_new = identity is None or identity.password_hash is None
    create_provider(session, name=name, email=email, **fields)
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
    """Create a provider with an owner who may log in at once. A person who already has a password
    keeps it. Raises Invalid for a name or address that no request could have."""
    _check(name, email)
    organization = _new(name, now)
    session.add(organization)
    owner = organizations.add_owner(
        session,
        organization=organization,
        given_name=given_name,
        family_name=family_name,
        email=email,
        now=now,
    )
    _activate_owner(session, owner, email=email, password_hash=password_hash, now=now)
    created = messages.ProviderCreated(
        organization_id=organization.id,
        name=name,
        country=country,
        currency=currency,
        timezone=timezone,
        owner=queries.owner_of(owner),
    )
    outbox.publish(session, created)
    member_events.publish_members_changed(session, organization.id)
    audit_log.record(
        session, "member.added", organization=organization, member=owner, by=SYSTEM, now=now
    )
    return organization


def _new(name: str, now: datetime) -> Organization:
    """A provider without people."""
    organization_id = ids.new("org")
    return Organization(
        id=organization_id,
        provider_id=organization_id,
        kind="provider",
        name=name,
        state="open",
        managed_by="provider",
        created_at=now,
    )


def _activate_owner(
    session: Session, owner: Member, *, email: str, password_hash: str, now: datetime
) -> None:
    """Let the owner log in at once, with their own password if they have one."""
    owner.status, owner.verified = "active", True
    identity = queries.identity_by_email(session, email)
    if identity is None:
        raise LookupError(email)
    identity.password_hash = identity.password_hash or password_hash
    person_names.choose_on_joining(identity, owner, {})
    identity.email_verified_at = identity.email_verified_at or now
    person_names.show_own(owner, identity)


def _check(name: str, email: str) -> None:
    if names.has_hidden(name) or names.has_link(name):
        raise errors.invalid("/name", "characters", "Enter a name without addresses.")
    if not email_addresses.is_valid(email):
        raise errors.invalid("/email", "email", "Enter an email address such as name@example.com.")


def apply_settings(
    session: Session, *, provider_id: str, version: int, settings: dict[str, Any], now: datetime
) -> None:
    """Apply the provider's settings, unless newer ones are known."""
    # The lock keeps logins out meanwhile.
    provider = queries.organization(session, provider_id, lock="change")
    known = queries.settings_of(session, provider_id, lock="change")
    if known is None:
        known = ProviderSettings(provider_id=provider_id, version=0, settings={})
        session.add(known)
    if version >= known.version:
        required = settings.get("mfa_required") is True
        organizations.require_codes(session, provider, required=required, now=now)
        before = queries.invitations_per_hour(session, provider_id)
        # Its logo would be read with every sign-in, and nothing here shows the company.
        needed = {name: value for name, value in settings.items() if name != "company"}
        known.version, known.settings = version, needed
        owner_invitations.reschedule(session, provider_id=provider_id, before=before, now=now)
        if not settings.get("managed_service"):
            support_grants.end_grants(session, provider_id=provider_id, why=BY_PROVIDER, now=now)
    outbox.publish(
        session, messages.SettingsApplied(provider_id=provider_id, version=known.version)
    )
