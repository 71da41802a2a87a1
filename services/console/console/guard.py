"""Who is asking: the cookie, the seat named in the address, and whether the form is one of ours."""

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from hmac import new as hmac
from typing import Any

from chassis.db.database import Database
from chassis.http import requests
from chassis.http.client import StreamingTransport
from chassis.runtime import clock
from flask import Response, current_app, g, request
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from console import actions, queries
from console.clients import Api, Refusal
from console.models import Browser
from console.models import Seat as Seat  # noqa: PLC0414 - views take it from here
from console.values.operations import Permit, reads_only
from console.values.sealing import new_secret, unseal

AWAY = (OperationalError, PoolTimeout)  # what there is instead of an answer of the database
_SAFE = ("GET", "HEAD", "OPTIONS")
_MARGIN = 20  # seconds before its end in which an access token is not used any more


class Forged(Exception):
    """The form did not come from one of our own pages."""


class SignedOut(Exception):
    """Nobody is signed in with this browser, or not any more; ``acting``: it was support's session
    that ended."""

    def __init__(self, *, acting: bool = False) -> None:
        self.acting = acting
        super().__init__()


@dataclass(frozen=True)
class Visitor:
    """Somebody signed in, at the seat of this request."""

    secret: str = field(repr=False)
    browser: Browser
    seat: Seat | None

    @property
    def here(self) -> Seat:
        """The seat of this request. Raises SignedOut where there is none."""
        if self.seat is None:
            raise SignedOut()
        return self.seat

    @property
    def is_staff(self) -> bool:
        """Whether the seat is at a provider."""
        return bool(self.here.organization["kind"] == "provider")

    def may(self, operation: str) -> bool:
        """Whether the seat's role may do this, as the services' tables have it; they decide
        again."""
        at, permit = self.here, Permit.of(operation)
        looks_only = at.act is not None and at.act["access"] == "read"
        return permit.allows(at.organization["kind"], at.role, acting=at.act is not None) and (
            not looks_only or reads_only(operation)
        )


def identify(secret: str, key: str) -> Visitor | None:
    """Who has this cookie, at this seat; takes the seat where they have another one and may switch.

    Raises Refusal where that can't be told just now."""
    with database().reading() as session:
        found = queries.browser(session, secret, key) if secret else None
    if found is None:
        return None
    browser, seat = found
    now = clock.now()
    if now - browser.started_at > actions.KEPT:
        return None
    if seat is None and key.startswith("org_"):
        seat = _switch(Visitor(secret, browser, None), key)
    if now - browser.used_at > actions.TO_THE:
        with database().transaction() as session:
            actions.note_use(session, browser_id=browser.id, key=key, now=now)
    return Visitor(secret, browser, seat)


def sign_in(told: dict[str, Any]) -> tuple[str, str]:
    """Remember this browser anew: its cookie and the key of its seat. The cookie from before is
    good for nothing."""
    secret = new_secret()
    with database().transaction() as session:
        if (before := getattr(g, "visitor", None)) is not None:
            actions.sign_out(session, browser_id=before.browser.id)
        key = actions.sign_in(session, secret=secret, told=told, now=clock.now())
    return secret, key


def take_seat(visitor: Visitor, told: dict[str, Any], *, member: str) -> str:
    """Keep a further session of this browser; its key."""
    with database().transaction() as session:
        return actions.take_seat(
            session,
            browser_id=visitor.browser.id,
            secret=visitor.secret,
            told=told,
            member=member,
            now=clock.now(),
        )


def leave_seat(visitor: Visitor, key: str) -> None:
    """Forget a session of this browser."""
    with database().transaction() as session:
        actions.leave_seat(session, browser_id=visitor.browser.id, key=key)


def forget(visitor: Visitor) -> None:
    """Forget this browser."""
    with database().transaction() as session:
        actions.sign_out(session, browser_id=visitor.browser.id)


def own_seats(visitor: Visitor) -> list[Seat]:
    """The places this browser is signed in at, the last used first."""
    with database().reading() as session:
        return queries.own_seats(session, visitor.browser.id)


def api(visitor: Visitor | None = None, seat: Seat | None = None) -> Api:
    """The API in the name of whoever sits here, or in nobody's."""
    headers = {
        "X-Request-Id": requests.request_id(),
        "X-Forwarded-For": requests.address_behind(
            current_app.extensions["proxies"], request.environ
        ),
        "User-Agent": request.headers.get("User-Agent", "")[:200],
    }
    wire: StreamingTransport = current_app.extensions["gateway"]
    said = {name: value for name, value in headers.items() if value}
    if visitor is None:
        return Api(wire, said)
    at = seat or visitor.here
    renewal = _Renewal(database(), visitor, at.key, Api(wire, said))
    tokens = unseal(visitor.secret, at.tokens)
    fresh = (at.until - clock.now()).total_seconds() > _MARGIN or not tokens["refresh"]
    token = tokens["access"] if fresh else renewal.renew(tokens["access"])
    return Api(wire, said, token, lambda: renewal.renew(token))


@dataclass(frozen=True)
class _Renewal:
    """How a seat gets its next access token. Needs no request: cards ask from threads of their
    own."""

    database: Database
    visitor: Visitor
    key: str
    nobody: Api

    def renew(self, stale: str) -> str:
        """Another token than this one. The row is held meanwhile, for a refresh token is good once
        and using it twice ends the session. Raises Refusal (401)."""
        with self.database.transaction() as session:
            seat = actions.locked_seat(session, browser_id=self.visitor.browser.id, key=self.key)
            tokens = (
                unseal(self.visitor.secret, seat.tokens)
                if seat
                else {"access": stale, "refresh": None}
            )
            if tokens["access"] != stale:
                return str(tokens["access"])
            if seat is None or not tokens["refresh"]:
                raise Refusal(
                    401, {"code": "signed_out", "detail": "Your session has ended. Sign in again."}
                )
            told = self.nobody.post("/v1/sessions/refresh", {"refresh_token": tokens["refresh"]})
            actions.take_seat(
                session,
                browser_id=self.visitor.browser.id,
                secret=self.visitor.secret,
                told=told,
                member=seat.member,
                now=clock.now(),
            )
        return str(told["access_token"])


def _switch(visitor: Visitor, key: str) -> Seat | None:
    """A seat in another of one's own organizations, by exchange; None where there is no such thing
    for them. A customer's that they may enter as support is none: nobody steps in by opening a
    page. Seats found to be over are left. Raises Refusal where the API can't tell just now."""
    for other in own_seats(visitor):
        try:
            asked = api(visitor, other)
            if key not in (one["id"] for one in asked.get("/v1/me/organizations")["own"]):
                return None
            told = asked.post("/v1/sessions/exchange", {"organization_id": key})
        except Refusal as refusal:
            if refusal.status in (429, 503):
                raise
            if refusal.status != 401:
                return None
            leave_seat(visitor, other.key)
            continue
        taken = take_seat(visitor, told, member=visitor.browser.name)
        with database().reading() as session:
            found = queries.browser(session, visitor.secret, taken)
            return found[1] if found and taken == key else None
    return None


def keep_draft(visitor: Visitor, fields: dict[str, Any], draft_id: str = "") -> str:
    """Keep what was typed; the draft's id."""
    with database().transaction() as session:
        return actions.keep_draft(
            session,
            browser_id=visitor.browser.id,
            secret=visitor.secret,
            fields=fields,
            now=clock.now(),
            draft_id=draft_id,
        )


def draft(visitor: Visitor, draft_id: str) -> dict[str, Any] | None:
    """What was typed, in this browser; None where there is no such draft."""
    with database().reading() as session:
        found = queries.draft(session, visitor.browser.id, draft_id)
    return unseal(visitor.secret, found.fields) if found else None


def drafts(visitor: Visitor, **marks: str) -> list[str]:
    """The ids of the drafts in this browser with these values, the last first."""
    with database().reading() as session:
        found = queries.drafts(session, visitor.browser.id)
    return [one.id for one in found if marks.items() <= unseal(visitor.secret, one.fields).items()]


def drop_draft(visitor: Visitor, draft_id: str) -> None:
    """Forget what has been sent."""
    with database().transaction() as session:
        actions.drop_draft(session, browser_id=visitor.browser.id, draft_id=draft_id)


def check_origin() -> None:
    """A form comes from a page of ours. Raises Forged.

    Browsers say where a form was (Sec-Fetch-Site, Origin) and nobody else can make them say
    otherwise; whoever is signed in must show the token of their pages as well."""
    if request.method in _SAFE:
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site not in (None, "same-origin", "none"):
        raise Forged
    hidden = (
        origin == "null" and site == "same-origin"
    )  # as of pages that tell nobody where they are
    if (
        origin is not None
        and not hidden
        and origin not in (f"https://{request.host}", _plain(request.host))
    ):
        raise Forged


def _plain(host: str) -> str:
    """An origin of ours without https, where there may be one."""
    return "" if is_secure() else f"http://{host}"


def check_token(secret: str) -> None:
    """The form bears the token of this browser. Raises Forged."""
    if request.method in _SAFE:
        return
    given = request.headers.get("X-CSRF-Token") or request.form.get("csrf", "")
    try:
        raw = urlsafe_b64decode(given.encode())
    except ValueError:
        raise Forged from None
    if len(raw) != 64 or not compare_digest(
        bytes(a ^ b for a, b in zip(raw[:32], raw[32:], strict=True)), _token_of(secret)
    ):
        raise Forged


def csrf(secret: str) -> str:
    """The token for the forms of a page; it looks different on each, so that compression tells
    nothing."""
    mask = secrets.token_bytes(32)
    return urlsafe_b64encode(
        mask + bytes(a ^ b for a, b in zip(mask, _token_of(secret), strict=True))
    ).decode()


def is_secure() -> bool:
    """Whether people come by https."""
    return bool(current_app.extensions["settings"].is_secure)


def cookie_name(part: str = "") -> str:
    """``__Host-`` where people come by https; on this machine alone it has to do without."""
    return ("__Host-clientele" if is_secure() else "clientele") + (part and f"-{part}")


def set_cookie(
    answer: Response, value: str, *, part: str = "", seconds: int | None = None
) -> Response:
    """Hand the browser its cookie, or take it away. ``part``: a cookie beside it, for so many
    ``seconds``."""
    name, secure = cookie_name(part), is_secure()
    if value:
        answer.set_cookie(
            name, value, max_age=seconds, secure=secure, httponly=True, samesite="Lax", path="/"
        )
    elif name in request.cookies:
        answer.delete_cookie(name, secure=secure, httponly=True, samesite="Lax", path="/")
    return answer


def cookie(part: str = "") -> str:
    """What the browser has in its cookie, or in one beside it."""
    return request.cookies.get(cookie_name(part), "")


def database() -> Database:
    """The console's own database."""
    found: Database = current_app.extensions["database"]
    return found


def _token_of(secret: str) -> bytes:
    return hmac(secret.encode(), b"csrf", sha256).digest()
