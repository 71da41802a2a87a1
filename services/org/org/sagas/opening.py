"""Opening a customer: billing opens the account, membership invites the owner."""

from datetime import datetime

from chassis.auth.actor import SYSTEM
from chassis.messaging import outbox
from contracts import membership, org
from sqlalchemy.orm import Session

from org import actions, values
from org.models import Organization, Saga


def activate(
    session: Session,
    organization: Organization,
    _saga: Saga,
    message: membership.OwnerInvited,
    now: datetime,
) -> None:
    """The organization is active."""
    organization.owner = vars(message.owner)
    organization.index_for_search()
    actions.change_status(
        session, organization, values.ACTIVE, now=now, by=SYSTEM, action="organization.activated"
    )
    outbox.publish(
        session,
        org.OrganizationActivated(
            organization_id=organization.id, provider_id=organization.provider_id
        ),
    )
