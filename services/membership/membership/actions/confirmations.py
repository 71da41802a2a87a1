"""The owner confirms people whom the provider has admitted."""

from datetime import datetime

from chassis import errors
from chassis.auth.actor import Actor
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import audit_log, members
from membership.models import Member
from membership.values.authority import BY_ORGANIZATION, Authority


class CannotConfirm(errors.Forbidden):
    code = "forbidden"
    detail = "Only the owner can confirm members, and not one who works for the provider."


def confirm_member(
    session: Session,
    *,
    organization_id: str,
    member_id: str,
    authority: Authority,
    by: Actor,
    now: datetime,
) -> Member:
    """Confirm that the organization wants this member to have access, no matter who gave it to
    them.

    Raises NoSuchMember, CannotConfirm: checked in the database, since a token may be older than a
    change of role."""
    organization, member = members.lock_member(session, organization_id, member_id, authority)
    owner = queries.owner(session, organization_id)
    is_owner = owner is not None and owner.identity_id == by.id
    if not is_owner or queries.is_staff_of(session, by.id, organization.provider_id):
        raise CannotConfirm()
    if member.admitted_by != BY_ORGANIZATION:
        change = {"field": "admitted_by", "before": member.admitted_by, "after": BY_ORGANIZATION}
        member.admitted_by = BY_ORGANIZATION
        audit_log.record(
            session,
            "member.confirmed",
            organization=organization,
            member=member,
            by=by,
            now=now,
            changes=[change],
        )
    return member
