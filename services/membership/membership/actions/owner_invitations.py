"""Invitations of the owners of new customers: at the pace that their provider's settings allow."""

from datetime import datetime

from chassis.auth.actor import SYSTEM
from chassis.runtime import clock
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import attempts, invitations
from membership.models import Member, Organization
from membership.values import attempt_limits

# In the details of an email: when it is sent at the earliest because of the limit for its address.
NOT_BEFORE = "not_before"


def invite_owner(
    session: Session, *, organization: Organization, owner: Member, now: datetime
) -> None:
    """Invite the owner of a new customer: at once, or when the provider's limits allow it. The
    limit for its staff is counted separately, so that an import does not use it up."""
    provider_id = organization.provider_id
    counter = attempts.lock(session, key=_key(provider_id), now=now)
    limit = invitations.hourly(session, provider_id)
    at = attempts.reserve_in(counter, limit=limit, now=now, waits=True)
    address_at = attempts.reserve(
        session,
        key=invitations.address_key(provider_id, owner.email),
        limit=attempt_limits.PROVIDERS_LINKS_TO_ADDRESS,
        now=now,
        waits=True,
    )
    invitations.invite(
        session,
        organization=organization,
        member=owner,
        by=SYSTEM,
        now=now,
        at=max(at, address_at),
        details={NOT_BEFORE: clock.stamp(address_at)} if address_at > now else None,
    )


def reschedule(session: Session, *, provider_id: str, before: int, now: datetime) -> None:
    """Invite the owners who are still waiting at the pace of the provider's settings now, in the
    same order. ``before``: how many an hour it was until now; this hour has used them up."""
    counter = attempts.lock(session, key=_key(provider_id), now=now)
    limit = invitations.hourly(session, provider_id)
    if counter.since <= now or limit.maximum == before:
        return
    hours = -((now - counter.since) // limit.within)
    counter.since, counter.recent = counter.since - hours * limit.within, before
    for mail in queries.waiting_owner_invitations(session, provider_id, now):
        at = attempts.reserve_in(counter, limit=limit, now=now, waits=True)
        if mail.details is not None:
            at = max(at, datetime.fromisoformat(mail.details[NOT_BEFORE]))
        mail.due_at = mail.created_at = at


def _key(provider_id: str) -> str:
    return f"openings {provider_id}"
