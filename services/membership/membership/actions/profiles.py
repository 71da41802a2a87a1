"""A person's own profile, which holds for all of their organizations."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from chassis import errors
from chassis.auth.actor import Actor
from chassis.auth.callers import StepUpRequired
from sqlalchemy.orm import Session

from membership.actions import logins, own_emails, person_names, sessions
from membership.actions.logins import LoginAttempt
from membership.actions.own_emails import lock_person
from membership.models import Member
from membership.values.lifetimes import REAUTHENTICATION

FIELDS = {"name", *person_names.PARTS, "email"}


def is_own(member: Member, by: Actor) -> bool:
    """Whether the actor is this member, and not support that acts as them."""
    return not by.acting and member.identity_id == by.id


def change_profile(
    session: Session,
    *,
    identity_id: str,
    session_id: str,
    fields: Mapping[str, str],
    attempt: LoginAttempt | None = None,
    now: datetime,
) -> errors.Failure | None:
    """Change the person's own name and address, in all of their organizations. Another address
    needs the password (``attempt``) or a recent re-authentication, and takes effect once it is
    proved. A wrong password is counted and returned, not raised. Raises StepUpRequired,
    TooManyRequests, TokenRevoked."""
    if attempt is not None:
        failure = logins.check_password(session, attempt=attempt, session_id=session_id, now=now)
        if failure is not None:
            return failure
    person = lock_person(session, identity_id)
    if "email" in fields:
        login = sessions.live(session, session_id=session_id, now=now)
        is_authenticated = attempt is not None or login.authenticated_at > now - REAUTHENTICATION
        if fields["email"] != person.identity.email and not is_authenticated:
            raise StepUpRequired()
        own_emails.request_change(session, person, fields["email"], now)
    person_names.rename_person(
        session,
        identity=person.identity,
        memberships=person.memberships,
        fields=fields,
        now=now,
    )
    return None


def change_as_member(
    session: Session,
    *,
    identity_id: str,
    session_id: str,
    fields: Mapping[str, Any],
    now: datetime,
) -> None:
    """Change the profile of the person who changes their own membership. Raises what
    ``change_profile`` does."""
    chosen = {part: fields[part] for part in (*person_names.PARTS, "email") if part in fields}
    if "name" in fields and not fields.keys() & set(person_names.PARTS):
        chosen |= {"given_name": fields["name"], "family_name": ""}
    if chosen:
        change_profile(
            session, identity_id=identity_id, session_id=session_id, fields=chosen, now=now
        )
