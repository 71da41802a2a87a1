"""Creating, changing and suspending organizations."""

from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from chassis.messaging import outbox
from chassis.runtime import ids
from contracts import membership, org
from sqlalchemy.orm import Session

from org import queries, values
from org.actions.history import record
from org.actions.revocations import revoke
from org.models import FIELDS, Organization


def create_organization(
    session: Session,
    *,
    provider_id: str,
    now: datetime,
    by: Actor,
    country: str,
    currency: str,
    timezone: str,
    pricing_model: str,
    payment_mode: str,
    owner: dict[str, str],
    credit_limit: str | None = None,
    **patchable: Any,
) -> Organization:
    """A new customer of the provider, in status ``provisioning``.

    ``patchable``: values of the patchable fields, at least name and billing."""
    organization = Organization(
        id=ids.new("org"),
        kind="customer",
        provider_id=provider_id,
        status=values.PROVISIONING,
        country=country,
        currency=currency,
        timezone=timezone,
        pricing_model=pricing_model,
        payment_mode=payment_mode,
        credit_limit=credit_limit,
        owner={**owner, "member_id": None, "verified": False},
        buyer_tags={},
        demo=False,
        managed_by="provider",
        mfa_required=False,
        created_at=now,
        updated_at=now,
        days_to_empty=values.NEVER_EMPTY,
    )
    organization.set_fields(patchable)
    session.add(organization)
    session.flush()
    record(session, organization, "organization.created", by=by, now=now)
    return organization


def create_provider(
    session: Session,
    *,
    organization_id: str,
    name: str,
    country: str,
    currency: str,
    timezone: str,
    owner: membership.Owner,
    now: datetime,
) -> None:
    """The provider's own organization; created once."""
    if queries.provider_of(session, organization_id) is not None:
        return
    root = Organization(
        id=organization_id,
        kind="provider",
        provider_id=organization_id,
        name=name,
        status=values.ACTIVE,
        country=country,
        currency=currency,
        timezone=timezone,
        pricing_model="app",
        payment_mode="prepaid",
        owner=vars(owner),
        buyer_tags={},
        demo=False,
        managed_by="provider",
        mfa_required=False,
        created_at=now,
        updated_at=now,
        billing_email=owner.email,
    )
    root.index_for_search()
    session.add(root)


def change_organization(
    session: Session,
    *,
    organization: Organization,
    now: datetime,
    by: Actor,
    changes: dict[str, Any],
) -> Organization:
    """Apply a checked patch of patchable fields. Raises the status's refusal."""
    organization.transition("edit")
    before = organization.patchable()
    organization.set_fields(changes)
    differences = values.differences(before, organization.patchable())
    if not differences:
        return organization
    organization.updated_at = now
    record(session, organization, "organization.changed", by=by, now=now, changes=differences)
    published = {name: getattr(organization, name) for name in FIELDS if FIELDS[name].published}
    outbox.publish(
        session,
        org.OrganizationChanged(
            organization_id=organization.id, provider_id=organization.provider_id, **published
        ),
    )
    return organization


def suspend_organization(
    session: Session, *, organization: Organization, now: datetime, by: Actor, reason: str | None
) -> None:
    """Suspend the organization, void its tokens and tell the other services."""
    change_status(
        session,
        organization,
        values.SUSPENDED,
        now=now,
        by=by,
        action="organization.suspended",
        reason=reason,
    )
    revoke(session, organization.id, "closed", now)
    outbox.publish(
        session,
        org.OrganizationSuspended(
            organization_id=organization.id, provider_id=organization.provider_id, reason=reason
        ),
    )


def change_status(
    session: Session,
    organization: Organization,
    status: str,
    *,
    now: datetime,
    by: Actor,
    action: str,
    reason: str | None = None,
) -> None:
    """Set the status and record it in the audit as ``action``."""
    change = {"field": "status", "before": organization.status, "after": status}
    organization.status = status
    organization.updated_at = now
    record(session, organization, action, by=by, now=now, changes=[change], reason=reason)
