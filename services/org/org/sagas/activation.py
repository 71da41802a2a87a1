"""Reactivation, of a suspended customer or within the grace period of a deletion: billing reopens
the account, membership restores access."""

from datetime import datetime

from chassis.auth.actor import SYSTEM
from chassis.messaging import outbox
from contracts import membership, org
from sqlalchemy.orm import Session

from org import actions, values
from org.models import Organization, Saga


def restore(
    session: Session,
    organization: Organization,
    saga: Saga,
    _message: membership.AccessRestored,
    now: datetime,
) -> None:
    """The organization has the status that it is to return to."""
    status = str(saga.status_after)
    actions.change_status(
        session, organization, status, now=now, by=SYSTEM, action="organization.reactivated"
    )
    if status == values.ACTIVE:
        actions.revoke(session, organization.id, "open", now)
    outbox.publish(
        session,
        org.OrganizationReactivated(
            organization_id=organization.id, provider_id=organization.provider_id, status=status
        ),
    )
