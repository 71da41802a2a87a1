"""The API on behalf of a visitor: request headers, access token and its renewal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chassis.db.database import Database
from chassis.http import networks, requests
from chassis.http.client import StreamingTransport
from chassis.runtime import clock
from flask import current_app, request

from console import actions
from console.clients import Api, Refusal
from console.guard import cookies
from console.guard.storage import database
from console.guard.visitors import Visitor
from console.models import WorkspaceSession
from console.values.sealing import unseal

_REFRESH = "/v1/sessions/refresh"
_MARGIN = 20  # seconds before its expiry from which an access token is not used any more


def api(
    visitor: Visitor | None = None,
    workspace: WorkspaceSession | None = None,
    *,
    browser_id: str = "",
) -> Api:
    """The API on behalf of a visitor, or without authentication. ``workspace``: another one of
    theirs than that of the request; ``browser_id``: of a browser that has no cookie with it yet.
    Raises Refusal."""
    transport: StreamingTransport = current_app.extensions["gateway"]
    headers = {
        "X-Request-Id": requests.request_id(),
        "X-Forwarded-For": networks.client_address(
            current_app.extensions["trusted_proxies"], request.environ
        ),
        "User-Agent": request.headers.get("User-Agent", "")[:200],
        "X-Browser-Id": browser_id or cookies.read(cookies.BROWSER),
    }
    headers = {name: value for name, value in headers.items() if value}
    anonymous = Api(transport, headers)
    if visitor is None:
        return anonymous
    used = workspace or visitor.workspace
    renewal = _Renewal(database(), visitor, used.key, anonymous)
    tokens = unseal(visitor.secret, used.tokens)
    is_fresh = (used.until - clock.now()).total_seconds() > _MARGIN
    token = tokens["access"]
    if not is_fresh and tokens["refresh"]:
        token = renewal.renew(token)
    return Api(transport, headers, token, lambda: renewal.renew(token))


def note_identity(database: Database, visitor: Visitor, identity: Mapping[str, Any]) -> None:
    """Show the person's name and email as the API has them now: they may have changed elsewhere.
    The identity of somebody whom support acts as changes nothing."""
    browser, shown = visitor.browser, actions.shown_identity(identity)
    is_known = shown == {"name": browser.name, "email": browser.email}
    if is_known or identity["id"] != browser.identity_id:
        return
    with database.transaction() as session:
        actions.update_identity(session, browser_id=browser.id, shown=shown)
    browser.name, browser.email = shown["name"], shown["email"]


@dataclass(frozen=True)
class _Renewal:
    """How a workspace session gets its next access token. Needs no request context, because cards
    are loaded in threads of their own."""

    database: Database
    visitor: Visitor
    key: str
    anonymous: Api

    def renew(self, stale: str) -> str:
        """A newer access token than this one. Raises Refusal (401).

        The row stays locked meanwhile: a refresh token works once, and using it twice ends the
        session."""
        browser_id, secret = self.visitor.browser.id, self.visitor.secret
        with self.database.transaction() as session:
            workspace = actions.lock_workspace(session, browser_id=browser_id, key=self.key)
            if workspace is None:
                raise _ended()
            tokens = unseal(secret, workspace.tokens)
            if tokens["access"] != stale:
                return str(tokens["access"])
            if not tokens["refresh"]:
                raise _ended()
            granted = self._refresh({"refresh_token": tokens["refresh"]})
            actions.save_workspace(
                session,
                browser_id=browser_id,
                secret=secret,
                granted=granted,
                member=workspace.member,
                now=clock.now(),
            )
        note_identity(self.database, self.visitor, granted["identity"])
        return str(granted["access_token"])

    def _refresh(self, body: dict[str, str]) -> dict[str, Any]:
        """The new tokens. If the answer may be lost, the same token gets it again, but not for
        long. Raises Refusal."""
        try:
            return dict(self.anonymous.post(_REFRESH, body))
        except Refusal as refusal:
            if refusal.status != 503:
                raise
            return dict(self.anonymous.post(_REFRESH, body))


def _ended() -> Refusal:
    return Refusal(401, {"code": "signed_out", "detail": "Your session has ended. Sign in again."})
