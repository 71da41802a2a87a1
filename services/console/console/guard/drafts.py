"""Drafts: what somebody typed and has not submitted yet."""

from typing import Any

from chassis.runtime import clock

from console import actions, queries
from console.guard.storage import database
from console.guard.visitors import Visitor
from console.values.sealing import unseal


def save(visitor: Visitor, fields: dict[str, Any], draft_id: str = "") -> str:
    """Save a draft, or replace the one with this id; returns its id."""
    with database().transaction() as session:
        return actions.save_draft(
            session,
            browser_id=visitor.browser.id,
            secret=visitor.secret,
            fields=fields,
            now=clock.now(),
            draft_id=draft_id,
        )


def load(visitor: Visitor, draft_id: str) -> dict[str, Any] | None:
    """The fields of a draft of this browser; None if there is no such draft."""
    with database().reading() as session:
        draft = queries.draft(session, visitor.browser.id, draft_id)
    return unseal(visitor.secret, draft.fields) if draft else None


def search(visitor: Visitor, **values: str) -> list[str]:
    """The ids of this browser's drafts that contain these values, newest first."""
    with database().reading() as session:
        drafts = queries.drafts(session, visitor.browser.id)
    return [
        draft.id
        for draft in drafts
        if values.items() <= unseal(visitor.secret, draft.fields).items()
    ]


def delete(visitor: Visitor, draft_id: str) -> None:
    """Delete a draft that has been submitted."""
    with database().transaction() as session:
        actions.delete_draft(session, browser_id=visitor.browser.id, draft_id=draft_id)
