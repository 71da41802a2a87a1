"""People who may log in."""

from datetime import datetime

from chassis import ids
from sqlalchemy import delete, exists, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import mails, sessions
from membership.models import Identity, LoginFailures, MailedToken, Member
from membership.values import addresses, tokens


def find_or_create_identity(
    session: Session, *, email: str, given_name: str, family_name: str, now: datetime
) -> Identity:
    """The person behind the address; an address already known is linked, not doubled."""
    address = addresses.key(email)
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    row = {
        "id": ids.new("idn"), "email": address, "given_name": given_name, "family_name": family_name,
        "status": "active", "created_at": now,
    }
    find = select(Identity).where(Identity.email == address).with_for_update(read=True)
    while (found := session.scalars(find).one_or_none()) is None:  # again where it was erased while we waited
        session.execute(insert(Identity).values(row).on_conflict_do_nothing(index_elements=["email"]))
    return found


def forget_failures(session: Session, *, email: str) -> None:
    """Open the door again that wrong passwords had shut."""
    session.execute(delete(LoginFailures).where(LoginFailures.key == tokens.digest(email)))


def set_password(session: Session, *, identity: Identity, password_hash: str, now: datetime) -> None:
    """Set the password, and end every session begun with the old one and every other way to a new one."""
    identity.password_hash = password_hash
    mails.supersede_resets(session, identity_id=identity.id, now=now)
    sessions.end_sessions(session, identity_id=identity.id, why="password_changed", now=now)


def erase_identity_if_alone(session: Session, *, identity_id: str, now: datetime) -> None:
    """Erase the person's data unless they still belong somewhere."""
    session.flush()
    belongs = select(exists().where(Member.identity_id == identity_id, Member.status.in_(queries.HERE)))
    if session.scalar(belongs):
        return
    identity = session.get_one(Identity, identity_id, with_for_update=True)
    if session.scalar(belongs):  # since we waited for whoever has linked them
        return
    session.execute(delete(MailedToken).where(MailedToken.identity_id == identity_id))
    sessions.end_sessions(session, identity_id=identity_id, why="erased", now=now)
    identity.email = identity.email_verified_at = identity.password_hash = identity.last_member_id = None
    identity.given_name = identity.family_name = ""
    identity.status = "erased"
