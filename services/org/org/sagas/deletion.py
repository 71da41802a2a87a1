"""Deletion, up to its being scheduled: billing closes the account if it is empty, membership ends
access."""

from datetime import datetime, timedelta

from chassis.auth.actor import SYSTEM
from chassis.messaging import outbox
from chassis.runtime import clock
from contracts import billing, membership, org
from sqlalchemy.orm import Session

from org import actions, queries, values
from org.models import Deletion, Organization, Saga


def void_tokens(
    session: Session,
    organization: Organization,
    _saga: Saga,
    _message: billing.AccountClosed,
    now: datetime,
) -> None:
    """The organization's tokens are void from now on."""
    actions.revoke(session, organization.id, "closed", now)


def refuse(
    session: Session,
    organization: Organization,
    _saga: Saga,
    message: billing.AccountNotClosed,
    now: datetime,
) -> str | None:
    """The account is not empty: the deletion is refused with the blockers, and the organization
    returns to its previous status. A suspension is confirmed again, as the deletion may have ended
    its saga."""
    deletion = session.get_one(Deletion, message.deletion_id)
    deletion.refuse([vars(blocker) for blocker in message.blockers])
    actions.change_status(
        session,
        organization,
        deletion.status_before,
        now=now,
        by=SYSTEM,
        action="deletion.refused",
        reason=", ".join(blocker.code for blocker in message.blockers),
    )
    outbox.publish(
        session,
        org.DeletionRefused(
            organization_id=organization.id,
            provider_id=organization.provider_id,
            deletion_id=deletion.id,
            blockers=message.blockers,
        ),
    )
    return "suspension" if deletion.status_before == values.SUSPENDED else None


def schedule(
    session: Session,
    organization: Organization,
    _saga: Saga,
    message: membership.AccessEnded,
    now: datetime,
) -> None:
    """The organization is suspended for deletion; it is purged after the grace period."""
    settings = queries.provider_settings(session, organization.provider_id).effective
    purge_at = now + timedelta(days=int(settings["deletion_grace_days"]))
    deletion = session.get_one(Deletion, message.deletion_id)
    deletion.schedule(now, purge_at)
    organization.purge_at = purge_at
    actions.change_status(
        session,
        organization,
        values.SUSPENDED_FOR_DELETION,
        now=now,
        by=SYSTEM,
        action="deletion.scheduled",
    )
    outbox.publish(
        session,
        org.DeletionScheduled(
            organization_id=organization.id,
            provider_id=organization.provider_id,
            deletion_id=deletion.id,
            purge_at=clock.stamp(purge_at),
        ),
    )


def undo_if_refused(
    session: Session, organization: Organization, message: billing.AccountClosed
) -> str | None:
    """If the request was sent twice and billing refused the first, a reactivation reopens the
    account."""
    deletion = session.get_one(Deletion, message.deletion_id)
    is_open = organization.status in (values.ACTIVE, values.SUSPENDED)
    if deletion.status == "refused" and is_open:
        return "reactivation"
    return None
