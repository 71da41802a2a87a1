"""What membership stores of organizations, for comparison with what org stores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contracts.membership import AccessState, Owner
from sqlalchemy import Select, and_, func, select
from sqlalchemy.orm import Session

from membership.models import Member, Organization, ProviderSettings
from membership.queries.people import CURRENT_STATUSES


@dataclass(frozen=True)
class State:
    """``access``: None if the organization is not known. ``settings_version``: of a provider,
    otherwise 0."""

    access: AccessState | None = None
    settings_version: int = 0


@dataclass(frozen=True)
class StatePage:
    """States by organization, in the order of their ids. It contains every organization up to
    ``until``; None: there are no more."""

    states: dict[str, State]
    until: str | None


def owner_of(member: Member) -> Owner:
    """The owner as other services list them."""
    return Owner(
        member_id=member.id,
        given_name=member.given_name or member.name,
        family_name=member.family_name or "",
        email=member.email or "",
        verified=member.verified,
    )


def states(session: Session, *, after: str | None, limit: int) -> StatePage:
    """The page after this organization."""
    query = _organizations().order_by(Organization.id).limit(limit)
    if after is not None:
        query = query.where(Organization.id > after)
    page = _states(session, query)
    return StatePage(page, max(page) if len(page) == limit else None)


def state(session: Session, organization_id: str) -> State:
    """That of one organization."""
    query = _organizations().where(Organization.id == organization_id)
    query = query.execution_options(populate_existing=True)
    return _states(session, query).get(organization_id, State())


def lock_with_owner(session: Session, organization_id: str) -> None:
    """Lock the organization, if it is known, and its owner against changes."""
    for query in (
        select(Organization.id).where(Organization.id == organization_id),
        select(Member.id).where(
            Member.organization_id == organization_id,
            Member.role == "owner",
            Member.status.in_(CURRENT_STATUSES),
        ),
    ):
        session.execute(query.with_for_update())


def _organizations() -> Select[Any]:
    is_owner = and_(
        Member.organization_id == Organization.id,
        Member.role == "owner",
        Member.status.in_(CURRENT_STATUSES),
    )
    query: Any = select(Organization.id, Organization.state, ProviderSettings.version, Member)
    return query.outerjoin(Member, is_owner).outerjoin(
        ProviderSettings, ProviderSettings.provider_id == Organization.id
    )


def _states(session: Session, query: Select[Any]) -> dict[str, State]:
    rows = session.execute(query).all()
    counts = _counts(session, [row[0] for row in rows])
    page = {}
    for organization_id, state_, version, owner in rows:
        members, admins = counts.get(organization_id, (0, 0))
        access = AccessState(
            state=state_,
            members=members,
            admins=admins,
            owner=owner_of(owner) if owner else None,
        )
        page[organization_id] = State(access, version or 0)
    return page


def _counts(session: Session, organization_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """By organization, how many members it has, and how many of them are admins."""
    query = (
        select(Member.organization_id, func.count(), func.count().filter(Member.role == "admin"))
        .where(Member.organization_id.in_(organization_ids), Member.status.in_(CURRENT_STATUSES))
        .group_by(Member.organization_id)
    )
    return {id_: (members, admins) for id_, members, admins in session.execute(query)}
