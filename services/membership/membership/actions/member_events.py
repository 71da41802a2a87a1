"""Events about the members of an organization."""

from chassis.messaging import outbox
from contracts import membership as messages
from sqlalchemy.orm import Session

from membership import queries
from membership.models import Member


def owner_of(member: Member) -> messages.Owner:
    """The owner as other services list them."""
    return messages.Owner(
        member_id=member.id,
        given_name=member.given_name or member.name,
        family_name=member.family_name or "",
        email=member.email or "",
        verified=member.verified,
    )


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
            organization_id=organization_id, members=members, admins=admins, owner=owner_of(owner)
        ),
    )
