"""Events about the members of an organization."""

from chassis.messaging import outbox
from contracts import membership as messages
from sqlalchemy.orm import Session

from membership import queries


def publish_members_changed(session: Session, organization_id: str) -> None:
    """Publish how many members the organization has now and who owns it."""
    session.flush()
    owner = queries.owner(session, organization_id)
    if owner is None:
        return
    members, admins = queries.counts(session, organization_id)
    outbox.publish(
        session,
        messages.MembersChanged(
            organization_id=organization_id,
            members=members,
            admins=admins,
            owner=queries.owner_of(owner),
        ),
    )
