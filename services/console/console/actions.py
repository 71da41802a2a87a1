"""What can be done to browsers, seats and drafts."""

from datetime import datetime, timedelta
from typing import Any

from chassis.runtime import ids
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from console import queries
from console.models import Browser, Draft, Seat
from console.values.sealing import seal, unseal

KEPT = timedelta(hours=24)  # no session lives longer; the API ends them earlier by its own rules
TO_THE = timedelta(minutes=1)
DRAFTS = 20


def sign_in(session: Session, *, secret: str, told: dict[str, Any], now: datetime) -> str:
    """Remember a browser by its new cookie and take the seat that the API gave; its key. Forgets
    what has grown old."""
    _forget_old(session, now)
    who = told["identity"]
    name = " ".join(filter(None, (who.get("given_name"), who.get("family_name")))) or who["email"]
    browser = Browser(
        id=ids.new("ses"),
        secret_hash=queries.hashed(secret),
        identity_id=who["id"],
        name=name,
        email=who["email"],
        started_at=now,
        used_at=now,
    )
    session.add(browser)
    session.flush()
    return take_seat(session, browser_id=browser.id, secret=secret, told=told, member=name, now=now)


def take_seat(
    session: Session,
    *,
    browser_id: str,
    secret: str,
    told: dict[str, Any],
    member: str,
    now: datetime,
) -> str:
    """Keep the tokens of a session that the API gave, for its organization or, while acting, for
    the acting itself; the key of the seat."""
    act = told.get("act")
    key = act["acting"] if act else told["organization"]["id"]
    seat = locked_seat(session, browser_id=browser_id, key=key) or _new_seat(
        session, browser_id, key
    )
    seat.organization, seat.member, seat.role, seat.act = (
        told["organization"],
        member,
        told["role"],
        act,
    )
    before = (
        unseal(secret, seat.tokens)["refresh"] if seat.tokens else None
    )  # a fresh proof brings none
    seat.tokens = seal(
        secret, {"access": told["access_token"], "refresh": told.get("refresh_token", before)}
    )
    seat.until, seat.used_at = now + timedelta(seconds=told["expires_in"]), now
    session.add(seat)
    return str(key)


def locked_seat(session: Session, *, browser_id: str, key: str) -> Seat | None:
    """The seat, held until the transaction ends: a refresh token is good once, so one request at a
    time uses it."""
    query = select(Seat).where(Seat.browser_id == browser_id, Seat.key == key)
    return session.scalars(query.with_for_update()).one_or_none()


def leave_seat(session: Session, *, browser_id: str, key: str) -> None:
    """Forget the tokens of a seat."""
    session.execute(delete(Seat).where(Seat.browser_id == browser_id, Seat.key == key))


def note_use(session: Session, *, browser_id: str, key: str, now: datetime) -> None:
    """Remember that the browser is in use, and which seat was last. Touches nothing else: another
    request may be renewing the seat's tokens."""
    session.execute(update(Browser).where(Browser.id == browser_id).values(used_at=now))
    session.execute(
        update(Seat).where(Seat.browser_id == browser_id, Seat.key == key).values(used_at=now)
    )


def sign_out(session: Session, *, browser_id: str) -> None:
    """Forget a browser; its seats and drafts go with it."""
    session.execute(delete(Browser).where(Browser.id == browser_id))


def keep_draft(
    session: Session,
    *,
    browser_id: str,
    secret: str,
    fields: dict[str, Any],
    now: datetime,
    draft_id: str = "",
) -> str:
    """Keep what was typed; the draft's id. With an id the draft of this browser is replaced. The
    oldest make room."""
    found = queries.draft(session, browser_id, draft_id)
    draft = found or Draft(id=ids.new("evt"), browser_id=browser_id)
    draft.fields, draft.kept_at = seal(secret, fields), now
    session.add(draft)
    session.flush()
    of_it = select(Draft.id).where(Draft.browser_id == browser_id)
    beyond = of_it.order_by(Draft.kept_at.desc(), Draft.id.desc()).offset(DRAFTS)
    session.execute(delete(Draft).where(Draft.id.in_(beyond)))
    return draft.id


def drop_draft(session: Session, *, browser_id: str, draft_id: str) -> None:
    """Forget a draft that has been sent."""
    if ids.is_id("evt", draft_id):
        session.execute(delete(Draft).where(Draft.id == draft_id, Draft.browser_id == browser_id))


def _new_seat(session: Session, browser_id: str, key: str) -> Seat:
    """Two tabs may ask for the same one at once: the browser is held until the transaction ends."""
    session.execute(select(Browser.id).where(Browser.id == browser_id).with_for_update())
    return session.get(Seat, (browser_id, key)) or Seat(browser_id=browser_id, key=key)


def _forget_old(session: Session, now: datetime) -> None:
    session.execute(delete(Browser).where(Browser.used_at < now - KEPT))
    session.execute(delete(Draft).where(Draft.kept_at < now - KEPT))
