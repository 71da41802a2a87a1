"""What org compares with the other services, and what differs."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from chassis.runtime import clock
from sqlalchemy import ColumnElement, and_, exists, func, select
from sqlalchemy.orm import Session

from org import values
from org.models import (
    Check,
    Difference,
    Organization,
    ProviderSettings,
    ReconciliationPass,
    Saga,
)
from org.values import comparison

CHECK_AGAIN_AFTER = timedelta(minutes=10)
_MAX_CHECKS = 100
_CURRENT = {"populate_existing": True}


def own_states(session: Session, *, after: str | None, limit: int) -> comparison.Page:
    """What org believes of the organizations that follow this one."""
    query = (
        select(Organization, Saga.id, ProviderSettings)
        .outerjoin(Saga, _IS_OPEN)
        .outerjoin(ProviderSettings, ProviderSettings.provider_id == Organization.id)
        .order_by(Organization.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(Organization.id > after)
    states = {
        organization.id: _own_state(organization, saga_id is not None, settings)
        for organization, saga_id, settings in session.execute(query)
    }
    return comparison.Page(states, max(states) if len(states) == limit else None)


def own_state(session: Session, organization_id: str) -> comparison.OwnState | None:
    """What org believes of this organization, which is locked; None if there is none."""
    query = select(Organization).where(Organization.id == organization_id).with_for_update()
    organization = session.scalars(query, execution_options=_CURRENT).one_or_none()
    if organization is None:
        return None
    settings = session.get(ProviderSettings, organization_id, execution_options=_CURRENT)
    return _own_state(organization, bool(in_sagas(session, [organization_id])), settings)


def in_sagas(session: Session, organization_ids: Collection[str]) -> set[str]:
    """Those of the organizations that are in a saga."""
    query = select(Saga.organization_id).where(
        Saga.organization_id.in_(organization_ids), Saga.finished_at.is_(None)
    )
    return set(session.scalars(query))


def known(session: Session, organization_ids: Collection[str]) -> set[str]:
    """Those of the organizations that there are."""
    query = select(Organization.id).where(Organization.id.in_(organization_ids))
    return set(session.scalars(query))


def settings_versions(session: Session, organization_ids: Collection[str]) -> Mapping[str, int]:
    """The version of the settings of those that are providers."""
    query = select(ProviderSettings.provider_id, ProviderSettings.version).where(
        ProviderSettings.provider_id.in_(organization_ids)
    )
    return {provider_id: version for provider_id, version in session.execute(query)}


def current_pass(session: Session, *, now: datetime, every: timedelta) -> ReconciliationPass | None:
    """The pass that is running, or a new one if one is due, else None."""
    last = session.scalars(
        select(ReconciliationPass).order_by(ReconciliationPass.id.desc()).limit(1)
    ).one_or_none()
    if last is not None and last.finished_at is None:
        return last
    if last is not None and now < last.started_at + every:
        return None
    return ReconciliationPass(started_at=now, after=None, organizations=0, checked=0)


def checks(
    session: Session, organization_ids: Collection[str] | None = None, *, since: datetime
) -> Sequence[Check]:
    """The checks without a reply that were requested later than ``since``."""
    query = select(Check).where(Check.requested_at > since)
    if organization_ids is not None:
        query = query.where(Check.organization_id.in_(organization_ids))
    return session.scalars(query.order_by(Check.organization_id, Check.service)).all()


def has_check(session: Session, organization_id: str) -> bool:
    """Whether a service has not replied yet."""
    query = select(exists().where(Check.organization_id == organization_id))
    return session.scalar(query) is True


def unanswered(now: datetime) -> ColumnElement[bool]:
    """Checks whose reply should have arrived."""
    return Check.requested_at <= now - CHECK_AGAIN_AFTER


def differences_with(
    session: Session, organization_id: str, service: str
) -> Mapping[str, Difference]:
    """All that there were with this service, by kind."""
    query = select(Difference).where(
        Difference.organization_id == organization_id, Difference.service == service
    )
    return {difference.kind: difference for difference in session.scalars(query)}


def differences(session: Session, organization_id: str | None = None) -> Sequence[Difference]:
    """Those that are not repaired, of one organization or of all."""
    query = select(Difference).where(Difference.repaired_at.is_(None))
    if organization_id is not None:
        query = query.where(Difference.organization_id == organization_id)
    order = Difference.organization_id, Difference.service, Difference.kind
    return session.scalars(query.order_by(*order)).all()


def count_differences(session: Session) -> int:
    """How many are not repaired."""
    query = select(func.count()).where(Difference.repaired_at.is_(None))
    return session.scalar(query) or 0


def to_check_again(session: Session, now: datetime) -> list[str]:
    """Organizations with a difference that was last looked at a while ago, unless they are in a
    saga."""
    before = now - CHECK_AGAIN_AFTER
    is_checked = exists().where(
        Check.organization_id == Difference.organization_id, Check.requested_at > before
    )
    is_in_saga = exists().where(
        Saga.organization_id == Difference.organization_id, Saga.finished_at.is_(None)
    )
    query = (
        select(Difference.organization_id)
        .where(Difference.repaired_at.is_(None), Difference.last_seen_at <= before)
        .where(~is_checked, ~is_in_saga)
        .order_by(Difference.last_seen_at)
        .limit(_MAX_CHECKS)
    )
    return sorted(set(session.scalars(query)))


_IS_OPEN = and_(Saga.organization_id == Organization.id, Saga.finished_at.is_(None))


def _own_state(
    organization: Organization, in_saga: bool, settings: ProviderSettings | None
) -> comparison.OwnState:
    applied = settings.applied if settings else {}
    version = settings.version if settings else 0
    return comparison.OwnState(
        kind=organization.kind,
        status=organization.status,
        in_saga=in_saga,
        figures={
            comparison.BILLING: _account_figures(organization),
            comparison.MEMBERSHIP: comparison.member_figures(
                organization.members, organization.admins, organization.owner
            ),
        },
        settings={
            service: comparison.settings_figures(version, applied.get(service, 0))
            for service in comparison.SERVICES
        },
    )


def _account_figures(organization: Organization) -> dict[str, Any]:
    """What org has received of the account, by the names of the message."""
    days = organization.days_to_empty
    return {
        "payment_mode": organization.payment_mode,
        "usable_credits": organization.usable_credits,
        "balance": organization.balance,
        "credit_limit": organization.limit_now,
        "amount_due": organization.amount_due,
        "overdue_amount": organization.overdue_amount,
        "oldest_due_on": organization.oldest_due_on and organization.oldest_due_on.isoformat(),
        "days_to_empty": None if days == values.NEVER_EMPTY else days,
        "as_of": clock.stamp(organization.as_of) if organization.as_of else None,
    }
