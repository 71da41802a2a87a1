"""What can be known."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from chassis.errors import NotFound
from sqlalchemy import ColumnElement, Select, and_, desc, false, literal, or_, select, tuple_
from sqlalchemy.orm import Session

from org import values
from org.models import (
    Conversation,
    Deletion,
    Organization,
    ProviderSettings,
    Receipt,
    Revocation,
    TrailEntry,
)

FEED_OVERLAP = timedelta(seconds=30)
FEED_KEPT = timedelta(minutes=65)  # longer than any token lives
MOST_AT_ONCE = 500

ATTENTION: dict[str, ColumnElement[bool]] = {
    "credits_overdrawn": Organization.usable_units < 0,
    "credits_run_out": Organization.days_to_empty <= 7,
    "owner_unverified": Organization.owner["verified"].as_boolean().is_(False),
    "deletion_scheduled": Organization.status == values.SUSPENDED_FOR_DELETION,
}
SORTS: dict[str, Any] = {
    "name": Organization.sort_name,
    "created_at": Organization.created_at,
    "usable_credits": Organization.usable_units,
    "days_to_empty": Organization.days_to_empty,
}


class NoDeletion(NotFound):
    code = "no_deletion"
    detail = "No deletion of this organization has been requested."


def provider_of(session: Session, organization_id: str) -> str | None:
    """The provider of an organization, None if there is no such organization."""
    return session.execute(
        select(Organization.provider_id).where(Organization.id == organization_id)
    ).scalar_one_or_none()


def organization(session: Session, organization_id: str, *, lock: bool = False) -> Organization:
    """The organization. Raises NotFound."""
    query = select(Organization).where(Organization.id == organization_id)
    found = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if found is None:
        raise NotFound("There is no such organization.", code="not_found")
    return found


def customers(
    provider_id: str, *, filters: dict[str, Any], sort: str, q: str | None
) -> Select[Any]:
    """The provider's customers: rows of (Organization, then one flag per ATTENTION code)."""
    query: Select[Any] = _with_attention().where(
        Organization.provider_id == provider_id, Organization.kind == "customer"
    )
    if "status" not in filters:
        query = query.where(Organization.status != values.DELETED)
    attention = filters.pop("attention", None)
    if attention is not None:
        query = query.where(
            or_(*ATTENTION.values()) if attention == "any" else ATTENTION[attention]
        )
    for name, wanted in filters.items():
        query = query.where(getattr(Organization, name) == wanted)
    if q:
        query = query.where(Organization.search.contains(q.casefold(), autoescape=True))
    column = SORTS[sort.lstrip("-")]
    direction = desc if sort.startswith("-") else lambda c: c
    return query.order_by(direction(column), direction(Organization.id))


def own(organization_id: str) -> Select[Any]:
    """The one organization a customer's people see, as rows of ``customers``."""
    return _with_attention().where(Organization.id == organization_id).order_by(Organization.id)


def _with_attention() -> Any:
    return select(Organization, *(flag.label(code) for code, flag in ATTENTION.items()))


def latest_deletion(session: Session, organization_id: str) -> Deletion:
    """The last deletion asked for. Raises NoDeletion."""
    found = session.scalars(
        select(Deletion)
        .where(Deletion.organization_id == organization_id)
        .order_by(Deletion.requested_at.desc(), Deletion.id.desc())
        .limit(1)
    ).one_or_none()
    if found is None:
        raise NoDeletion(code="not_found")
    return found


def deletions(session: Session, organization_id: str) -> Sequence[Deletion]:
    """All that were asked for."""
    return session.scalars(
        select(Deletion).where(Deletion.organization_id == organization_id)
    ).all()


def is_erased(session: Session, organization_id: str) -> bool:
    """Whether the organization is deleted for good. Until this transaction ends, it stays so or
    stays not so."""
    status = (
        select(Organization.status)
        .where(Organization.id == organization_id)
        .with_for_update(read=True)
    )
    return session.scalars(status).one_or_none() == values.DELETED


def open_conversation(session: Session, organization_id: str) -> Conversation | None:
    """The conversation this organization is in, locked; there is never more than one."""
    return session.scalars(
        select(Conversation)
        .where(Conversation.organization_id == organization_id, Conversation.finished_at.is_(None))
        .with_for_update()
    ).one_or_none()


def settings(session: Session, provider_id: str, *, lock: bool = False) -> ProviderSettings:
    """The provider's settings, the defaults where nothing was chosen."""
    query = select(ProviderSettings).where(ProviderSettings.provider_id == provider_id)
    found = session.scalars(query.with_for_update() if lock else query).one_or_none()
    return found or ProviderSettings(provider_id=provider_id, version=0, chosen={}, applied={})


def trail(
    organization_id: str,
    *,
    filters: dict[str, Any],
    changes_only: bool = False,
    masked: bool = False,
) -> Select[Any]:
    """The merged audit of an organization, newest first; ``changes_only``: without what was denied;
    ``masked``: for those who must not learn who of the provider gave support, so that no filter
    finds it out."""
    query = select(TrailEntry).where(TrailEntry.organization_id == organization_id)
    if changes_only:
        query = query.where(TrailEntry.outcome == "ok")
    conditions: dict[str, Any] = {
        "action": lambda v: TrailEntry.action == v,
        "outcome": lambda v: TrailEntry.outcome == v,
        "actor": lambda v: _acted(v, masked),
        "actor_kind": lambda v: TrailEntry.actor_kind == v,
        "target": lambda v: TrailEntry.target_id == v,
        "from_": lambda v: TrailEntry.at >= v,
        "to": lambda v: TrailEntry.at < v,
    }
    query = (
        query.where(and_(*(conditions[name](v) for name, v in filters.items())))
        if filters
        else query
    )
    return query.order_by(TrailEntry.at.desc(), TrailEntry.id.desc())


def trail_before(
    session: Session, wanted: Select[Any], last: TrailEntry | None
) -> Sequence[TrailEntry]:
    """A batch of what ``trail`` answers: the next after ``last``."""
    if last is not None:
        end = (
            literal(getattr(last, column.key), column.type)
            for column in (TrailEntry.at, TrailEntry.id)
        )
        wanted = wanted.where(tuple_(TrailEntry.at, TrailEntry.id) < tuple_(*end))
    return session.scalars(wanted.limit(MOST_AT_ONCE)).all()


def _acted(who: str, masked: bool) -> ColumnElement[bool]:
    """Rows of this person, or of all who gave support."""
    if who == values.SUPPORT:
        return TrailEntry.actor_kind == values.SUPPORT
    by_id = TrailEntry.actor_id == who
    return and_(by_id, TrailEntry.actor_kind.is_distinct_from(values.SUPPORT)) if masked else by_id


def done_inside(session: Session, receipt: Receipt, within: timedelta) -> Sequence[TrailEntry]:
    """What was done in one stay of staff, oldest first; ``within``: how long after its end requests
    still ran."""
    about_support = or_(
        TrailEntry.action.startswith("support."), TrailEntry.action.startswith("member.login_as.")
    )
    return session.scalars(
        select(TrailEntry)
        .where(
            TrailEntry.organization_id == receipt.organization_id,
            TrailEntry.actor_kind == values.SUPPORT,
            TrailEntry.at >= receipt.started_at,
            TrailEntry.at <= receipt.ended_at + within,
            TrailEntry.actor["acting"]["acting"].as_string() == receipt.acting_id,
            TrailEntry.outcome == "ok",
            ~about_support,
        )
        .order_by(TrailEntry.at, TrailEntry.id)
        .limit(MOST_AT_ONCE)
    ).all()


def revocations(session: Session, *, after: int, now: datetime) -> Sequence[Revocation]:
    """The feed: everything after ``after``, and again what is younger than the longest transaction,
    because numbers are not given in the order of commits."""
    recent = Revocation.at > now - (FEED_OVERLAP if after else FEED_KEPT)
    beyond = Revocation.seq > after if after else false()
    return session.scalars(
        select(Revocation).where(or_(beyond, recent)).order_by(Revocation.seq)
    ).all()
