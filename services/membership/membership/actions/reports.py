"""Reporting to org what membership stores of an organization."""

from chassis.messaging import outbox
from contracts import membership as messages
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import member_events


def report_state(session: Session, *, organization_id: str, check_id: str, figures: bool) -> None:
    """Publish the access as org must know it by now; if ``figures``, then the members again, which
    corrects what org knows. The locks keep out changes of members that are published later."""
    queries.lock_with_owner(session, organization_id)
    state = queries.state(session, organization_id)
    outbox.publish(
        session,
        messages.StateReported(
            organization_id=organization_id,
            check_id=check_id,
            access=state.access,
            settings_version=state.settings_version,
        ),
    )
    if figures:
        member_events.publish_members_changed(session, organization_id)
