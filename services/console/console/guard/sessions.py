"""Browsers and their workspace sessions: sign in, enter and leave workspaces, sign out."""

from contextlib import suppress
from typing import Any

from chassis.runtime import clock
from flask import g

from console import actions, queries
from console.clients import Refusal
from console.guard import cookies
from console.guard.api_access import api, note_identity
from console.guard.storage import database
from console.guard.visitors import Visitor
from console.models import WorkspaceSession
from console.values import endings
from console.values.sealing import new_secret

_TEMPORARY = (429, 503)


def identify(secret: str, key: str) -> Visitor | None:
    """The user with this cookie in this workspace; None if nobody is signed in. A member of several
    organizations enters another of them by opening its address.

    Raises Refusal if the API cannot tell at the moment."""
    with database().reading() as session:
        row = queries.browser(session, secret, key) if secret else None
    if row is None:
        return None
    browser, workspace = row
    now = clock.now()
    if now - browser.started_at > actions.RETENTION:
        return None
    if workspace is None and key.startswith("org_"):
        workspace = _switch(Visitor(secret, browser, None), key)
    if now - browser.used_at > actions.USE_PRECISION:
        with database().transaction() as session:
            actions.note_use(session, browser_id=browser.id, key=key, now=now)
    return Visitor(secret, browser, workspace)


def ending(visitor: Visitor | None) -> str:
    """Why nobody is signed in any more, as far as this browser tells; empty if nobody was."""
    if visitor is not None:
        return endings.ENDED
    if cookies.read():
        return endings.EXPIRED
    return endings.SIGNED_OUT if cookies.read(cookies.SIGNED_OUT) else ""


def sign_in(granted: dict[str, Any]) -> tuple[str, str]:
    """Start a browser session with what the API granted; returns a new cookie and the key of the
    workspace. The previous cookie stops working."""
    secret = new_secret()
    with database().transaction() as session:
        if (before := getattr(g, "visitor", None)) is not None:
            actions.sign_out(session, browser_id=before.browser.id)
        key = actions.sign_in(session, secret=secret, granted=granted, now=clock.now())
    return secret, key


def sign_out(visitor: Visitor) -> None:
    """Delete this browser session."""
    with database().transaction() as session:
        actions.sign_out(session, browser_id=visitor.browser.id)


def save_workspace(visitor: Visitor, granted: dict[str, Any], *, member: str) -> str:
    """Add a workspace session to this browser, or update its tokens; returns its key."""
    with database().transaction() as session:
        return actions.save_workspace(
            session,
            browser_id=visitor.browser.id,
            secret=visitor.secret,
            granted=granted,
            member=member,
            now=clock.now(),
        )


def delete_workspace(visitor: Visitor, key: str) -> None:
    """Remove a workspace session from this browser."""
    with database().transaction() as session:
        actions.delete_workspace(session, browser_id=visitor.browser.id, key=key)


def own_workspaces(visitor: Visitor) -> list[WorkspaceSession]:
    """The workspace sessions in the user's own organizations, the last used first."""
    with database().reading() as session:
        return queries.own_workspaces(session, visitor.browser.id)


def refresh_identity(visitor: Visitor) -> None:
    """Ask the API for the person's name and email, which a link may have changed. If it refuses or
    does not respond, nothing changes."""
    for workspace in own_workspaces(visitor)[:1]:
        with suppress(Refusal):
            identity = api(visitor, workspace).get("/v1/me")["identity"]
            note_identity(database(), visitor, identity)


def _switch(visitor: Visitor, key: str) -> WorkspaceSession | None:
    """Enter another of the user's own organizations; None if they are no member of it. Sessions
    that turn out to have ended are deleted. Customers that support may enter are not included:
    opening a page never starts a support session.

    Raises Refusal if the API cannot tell at the moment."""
    for known in own_workspaces(visitor):
        try:
            return _exchange(visitor, known, key)
        except Refusal as refusal:
            if refusal.status in _TEMPORARY:
                raise
            if refusal.status != 401:
                return None
            delete_workspace(visitor, known.key)
    return None


def _exchange(visitor: Visitor, known: WorkspaceSession, key: str) -> WorkspaceSession | None:
    """Exchange one workspace session for another. Raises Refusal."""
    client = api(visitor, known)
    organizations = client.get("/v1/me/organizations")["own"]
    if key not in [organization["id"] for organization in organizations]:
        return None
    granted = client.post("/v1/sessions/exchange", {"organization_id": key})
    note_identity(database(), visitor, granted["identity"])
    entered = save_workspace(visitor, granted, member=visitor.browser.name)
    with database().reading() as session:
        row = queries.browser(session, visitor.secret, entered)
    return row[1] if row and entered == key else None
