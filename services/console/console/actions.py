"""What can be done to browser sessions, workspace sessions and drafts."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from chassis.runtime import ids
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from console import queries
from console.models import Browser, Draft, WorkspaceSession
from console.values.sealing import seal, unseal

RETENTION = timedelta(hours=24)
"""The longest a browser session lives; the API may end its sessions earlier."""
USE_PRECISION = timedelta(minutes=1)
"""How exactly the last use is recorded."""
MAX_DRAFTS = 20
MAX_BROWSERS = 20
"""Of one person."""


def sign_in(session: Session, *, secret: str, granted: dict[str, Any], now: datetime) -> str:
    """Start a browser session with a new cookie and the workspace that the API granted; returns the
    workspace's key. Deletes expired sessions and drafts, and the person's sessions beyond
    ``MAX_BROWSERS`` that were not used for longest."""
    _delete_expired(session, now)
    identity = granted["identity"]
    _delete_surplus(session, identity["id"])
    shown = shown_identity(identity)
    browser = Browser(
        id=ids.new("brw"),
        secret_hash=queries.hashed(secret),
        identity_id=identity["id"],
        **shown,
        started_at=now,
        used_at=now,
    )
    session.add(browser)
    session.flush()
    return save_workspace(
        session,
        browser_id=browser.id,
        secret=secret,
        granted=granted,
        member=shown["name"],
        now=now,
    )


def shown_identity(identity: Mapping[str, Any]) -> dict[str, str]:
    """Name and email of a person as pages show them."""
    names = (identity.get("given_name"), identity.get("family_name"))
    return {"name": " ".join(filter(None, names)) or identity["email"], "email": identity["email"]}


def update_identity(session: Session, *, browser_id: str, shown: Mapping[str, str]) -> None:
    """Show the person's new name or email from now on."""
    session.execute(update(Browser).where(Browser.id == browser_id).values(**shown))


def save_workspace(
    session: Session,
    *,
    browser_id: str,
    secret: str,
    granted: dict[str, Any],
    member: str,
    now: datetime,
) -> str:
    """Save the tokens that the API granted; returns the workspace's key. The key is the id of the
    organization, or of the support session."""
    act = granted.get("act")
    key = act["acting"] if act else granted["organization"]["id"]
    workspace = lock_workspace(session, browser_id=browser_id, key=key) or _new_workspace(
        session, browser_id, key
    )
    workspace.organization = granted["organization"]
    workspace.member = member
    workspace.role = granted["role"]
    workspace.act = act
    # Re-authentication grants no refresh token; the previous one stays valid.
    before = unseal(secret, workspace.tokens)["refresh"] if workspace.tokens else None
    workspace.tokens = seal(
        secret, {"access": granted["access_token"], "refresh": granted.get("refresh_token", before)}
    )
    workspace.until, workspace.used_at = now + timedelta(seconds=granted["expires_in"]), now
    session.add(workspace)
    return str(key)


def lock_workspace(session: Session, *, browser_id: str, key: str) -> WorkspaceSession | None:
    """The workspace session, locked until the transaction ends: a refresh token works once, so only
    one request at a time may use it."""
    query = select(WorkspaceSession).where(
        WorkspaceSession.browser_id == browser_id, WorkspaceSession.key == key
    )
    return session.scalars(query.with_for_update()).one_or_none()


def delete_workspace(session: Session, *, browser_id: str, key: str) -> None:
    """Delete a workspace session with its tokens."""
    session.execute(
        delete(WorkspaceSession).where(
            WorkspaceSession.browser_id == browser_id, WorkspaceSession.key == key
        )
    )


def note_use(session: Session, *, browser_id: str, key: str, now: datetime) -> None:
    """Record that the browser is in use, and its last workspace. Changes nothing else: another
    request may be renewing the workspace's tokens."""
    session.execute(update(Browser).where(Browser.id == browser_id).values(used_at=now))
    session.execute(
        update(WorkspaceSession)
        .where(WorkspaceSession.browser_id == browser_id, WorkspaceSession.key == key)
        .values(used_at=now)
    )


def sign_out(session: Session, *, browser_id: str) -> None:
    """Delete a browser session with its workspace sessions and drafts."""
    session.execute(delete(Browser).where(Browser.id == browser_id))


def save_draft(
    session: Session,
    *,
    browser_id: str,
    secret: str,
    fields: dict[str, Any],
    now: datetime,
    draft_id: str = "",
) -> str:
    """Save a draft, or replace the one with this id; returns its id. The browser's oldest drafts
    beyond ``MAX_DRAFTS`` are deleted."""
    existing = queries.draft(session, browser_id, draft_id)
    draft = existing or Draft(id=ids.new("drf"), browser_id=browser_id)
    draft.fields, draft.kept_at = seal(secret, fields), now
    session.add(draft)
    session.flush()
    of_it = select(Draft.id).where(Draft.browser_id == browser_id)
    beyond = of_it.order_by(Draft.kept_at.desc(), Draft.id.desc()).offset(MAX_DRAFTS)
    session.execute(delete(Draft).where(Draft.id.in_(beyond)))
    return draft.id


def delete_draft(session: Session, *, browser_id: str, draft_id: str) -> None:
    """Delete a draft that has been submitted."""
    if ids.is_id("drf", draft_id):
        session.execute(delete(Draft).where(Draft.id == draft_id, Draft.browser_id == browser_id))


def _new_workspace(session: Session, browser_id: str, key: str) -> WorkspaceSession:
    """Two tabs may open the same workspace at once, so the browser row stays locked until the
    transaction ends."""
    session.execute(select(Browser.id).where(Browser.id == browser_id).with_for_update())
    return session.get(WorkspaceSession, (browser_id, key)) or WorkspaceSession(
        browser_id=browser_id, key=key
    )


def _delete_surplus(session: Session, identity_id: str) -> None:
    """Make room for one more."""
    theirs = select(Browser.id).where(Browser.identity_id == identity_id)
    newest = theirs.order_by(Browser.used_at.desc(), Browser.id.desc())
    session.execute(delete(Browser).where(Browser.id.in_(newest.offset(MAX_BROWSERS - 1))))


def _delete_expired(session: Session, now: datetime) -> None:
    session.execute(delete(Browser).where(Browser.used_at < now - RETENTION))
    session.execute(delete(Draft).where(Draft.kept_at < now - RETENTION))
