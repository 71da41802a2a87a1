"""The purge after the grace period: billing seals the account if it is empty, membership erases the
members."""

from datetime import datetime, timedelta

from chassis.auth.actor import SYSTEM
from chassis.messaging import outbox
from chassis.runtime import log
from contracts import billing, membership, org
from sqlalchemy.orm import Session

from org import actions, values
from org.models import Deletion, Organization, Saga

RETRY_AFTER = timedelta(days=1)
_LOG = log.get("sagas")


def postpone(
    session: Session,
    organization: Organization,
    _saga: Saga,
    message: billing.AccountNotSealed,
    now: datetime,
) -> None:
    """The account is not empty: nothing is forced, an error is logged, and the purge is tried again
    the next day."""
    deletion = session.get_one(Deletion, message.deletion_id)
    deletion.postpone([vars(blocker) for blocker in message.blockers], now + RETRY_AFTER)
    actions.record(session, organization, "deletion.purge_blocked", by=SYSTEM, now=now)
    _LOG.error("purge.blocked", organization_id=organization.id, blockers=deletion.blockers)


def complete(
    session: Session,
    organization: Organization,
    _saga: Saga,
    message: membership.MembersErased,
    now: datetime,
) -> None:
    """Only a tombstone without personal data remains: the organization is deleted."""
    deletion = session.get_one(Deletion, message.deletion_id)
    deletion.complete(now)
    organization.erase()
    actions.erase_history(session, organization)
    actions.change_status(
        session, organization, values.DELETED, now=now, by=SYSTEM, action="organization.deleted"
    )
    outbox.publish(
        session,
        org.OrganizationDeleted(
            organization_id=organization.id,
            provider_id=organization.provider_id,
            deletion_id=deletion.id,
        ),
    )
