"""What can be done to browsers, seats and drafts."""

from datetime import datetime, timedelta
from typing import Any

from chassis import ids
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from console import queries
from console.models import Browser, Draft, Seat
from console.values.sealing import seal

KEPT = timedelta(hours=24)  # no session lives longer; the API ends them earlier by its own rules
TO_THE = timedelta(minutes=1)


def sign_in(session: Session, *, secret: str, told: dict[str, Any], now: datetime) -> str:
    """Remember a browser by its new cookie and take the seat that the API gave; its key. Forgets what has grown old."""
    _forget_old(session, now)
    who = told["identity"]
    name = " ".join(filter(None, (who.get("given_name"), who.get("family_name")))) or who["email"]
    browser = Browser(
        id=ids.new("ses"), secret_hash=queries.hashed(secret), identity_id=who["id"], name=name, email=who["email"],
        started_at=now, used_at=now,
    )
    session.add(browser)
    session.flush()
    return take_seat(session, browser_id=browser.id, secret=secret, told=told, member=name, now=now)


def take_seat(
    session: Session, *, browser_id: str, secret: str, told: dict[str, Any], member: str, now: datetime
) -> str:
    """Keep the tokens of a session that the API gave, for its organization or, while acting, for the acting itself;
    the key of the seat."""
    act = told.get("act")
    key = act["sid"] if act else told["organization"]["id"]
    seat = session.get(Seat, (browser_id, key)) or Seat(browser_id=browser_id, key=key)
    seat.organization, seat.member, seat.role, seat.act = told["organization"], member, told["role"], act
    seat.tokens = seal(secret, {"access": told["access_token"], "refresh": told.get("refresh_token")})
    seat.until, seat.used_at = now + timedelta(seconds=told["expires_in"]), now
    session.add(seat)
    return str(key)


def locked_seat(session: Session, *, browser_id: str, key: str) -> Seat | None:
    """The seat, held until the transaction ends: a refresh token is good once, so one request at a time uses it."""
    query = select(Seat).where(Seat.browser_id == browser_id, Seat.key == key)
    return session.scalars(query.with_for_update()).one_or_none()


def leave_seat(session: Session, *, browser_id: str, key: str) -> None:
    """Forget the tokens of a seat."""
    session.execute(delete(Seat).where(Seat.browser_id == browser_id, Seat.key == key))


def note_use(session: Session, *, browser: Browser, seat: Seat | None, now: datetime) -> None:
    """Remember that the browser is in use, and which seat was last."""
    session.merge(browser).used_at = now
    if seat is not None:
        session.merge(seat).used_at = now


def sign_out(session: Session, *, browser_id: str) -> None:
    """Forget a browser with its seats and drafts."""
    for table, column in ((Seat, Seat.browser_id), (Draft, Draft.browser_id), (Browser, Browser.id)):
        session.execute(delete(table).where(column == browser_id))


def keep_draft(
    session: Session, *, browser_id: str, secret: str, fields: dict[str, Any], now: datetime, draft_id: str = ""
) -> str:
    """Keep what was typed; the draft's id. With an id the draft of this browser is replaced."""
    found = queries.draft(session, browser_id, draft_id) if ids.is_id("evt", draft_id) else None
    draft = found or Draft(id=ids.new("evt"), browser_id=browser_id)
    draft.fields, draft.kept_at = seal(secret, fields), now
    session.add(draft)
    return draft.id


def drop_draft(session: Session, *, browser_id: str, draft_id: str) -> None:
    """Forget a draft that has been sent."""
    if ids.is_id("evt", draft_id):
        session.execute(delete(Draft).where(Draft.id == draft_id, Draft.browser_id == browser_id))


def _forget_old(session: Session, now: datetime) -> None:
    old = select(Browser.id).where(Browser.used_at < now - KEPT).limit(100)
    for browser_id in session.scalars(old).all():
        sign_out(session, browser_id=browser_id)
    session.execute(delete(Draft).where(Draft.kept_at < now - KEPT))
