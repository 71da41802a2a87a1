"""Queries about browser sessions, workspace sessions and drafts."""

from hashlib import sha256

from chassis.runtime import ids
from sqlalchemy import select
from sqlalchemy.orm import Session

from console.models import Browser, Draft, WorkspaceSession


def browser(
    session: Session, secret: str, workspace: str
) -> tuple[Browser, WorkspaceSession | None] | None:
    """The browser session with this cookie, and its workspace session of this key if there is
    one."""
    row = session.execute(
        select(Browser, WorkspaceSession)
        .outerjoin(
            WorkspaceSession,
            (WorkspaceSession.browser_id == Browser.id) & (WorkspaceSession.key == workspace),
        )
        .where(Browser.secret_hash == hashed(secret))
    ).one_or_none()
    return None if row is None else (row[0], row[1])


def own_workspaces(session: Session, browser_id: str) -> list[WorkspaceSession]:
    """The workspace sessions in the user's own organizations, the last used first."""
    query = select(WorkspaceSession).where(
        WorkspaceSession.browser_id == browser_id,
        WorkspaceSession.key.startswith("org_", autoescape=True),
    )
    return list(
        session.scalars(query.order_by(WorkspaceSession.used_at.desc(), WorkspaceSession.key))
    )


def draft(session: Session, browser_id: str, draft_id: str) -> Draft | None:
    """A draft of this browser."""
    if not ids.is_id("drf", draft_id):
        return None
    return session.scalars(
        select(Draft).where(Draft.id == draft_id, Draft.browser_id == browser_id)
    ).one_or_none()


def drafts(session: Session, browser_id: str) -> list[Draft]:
    """The drafts of this browser, newest first."""
    query = select(Draft).where(Draft.browser_id == browser_id)
    return list(session.scalars(query.order_by(Draft.kept_at.desc(), Draft.id.desc()).limit(20)))


def hashed(secret: str) -> bytes:
    """A cookie as it is stored."""
    return sha256(secret.encode()).digest()
