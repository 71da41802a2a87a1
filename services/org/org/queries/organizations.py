"""Organizations: one of them, the list of customers."""

from collections.abc import Collection
from typing import Any

from chassis.errors import NotFound
from sqlalchemy import ColumnElement, Select, desc, or_, select
from sqlalchemy.orm import Session

from org import values
from org.models import FIELDS, Organization
from org.models.organizations import billing_of

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
_OWNER = ("member_id", "given_name", "family_name", "email", "verified")
_SINGLE = [name for name in FIELDS if name not in ("billing", "owner")]
_LISTED = [column for column in Organization.__table__.c if column.name != "search"]


def provider_of(session: Session, organization_id: str) -> str | None:
    """The provider of an organization, None if there is no such organization."""
    return session.execute(
        select(Organization.provider_id).where(Organization.id == organization_id)
    ).scalar_one_or_none()


def organization(session: Session, organization_id: str, *, lock: bool = False) -> Organization:
    """The organization. Raises NotFound."""
    query = select(Organization).where(Organization.id == organization_id)
    if lock:
        query = query.with_for_update()
    organization = session.scalars(query).one_or_none()
    if organization is None:
        raise _not_found()
    return organization


def lock_organizations(session: Session, ids: Collection[str]) -> dict[str, Organization]:
    """These organizations, locked in the order of their ids. Raises NotFound if one is missing."""
    query = select(Organization).where(Organization.id.in_(ids)).order_by(Organization.id)
    organizations = {each.id: each for each in session.scalars(query.with_for_update())}
    if len(organizations) < len(ids):
        raise _not_found()
    return organizations


def deleted_among(session: Session, ids: Collection[str]) -> set[str]:
    """Those of the organizations that are deleted. It cannot change until this transaction
    ends."""
    query = (
        select(Organization.id, Organization.status)
        .where(Organization.id.in_(ids))
        .order_by(Organization.id)
        .with_for_update(read=True)
    )
    return {row.id for row in session.execute(query) if row.status == values.DELETED}


def _not_found() -> NotFound:
    return NotFound("There is no such organization.", code="not_found")


def customers(
    provider_id: str, *, filters: dict[str, Any], sort: str, q: str | None
) -> Select[Any]:
    """The provider's customers: rows for ``show_listed``.

    Deleted customers are included only if ``filters`` asks for that status."""
    query: Select[Any] = _with_attention().where(
        Organization.provider_id == provider_id, Organization.kind == "customer"
    )
    if "status" not in filters:
        query = query.where(Organization.status != values.DELETED)
    for name, wanted in filters.items():
        query = query.where(_condition(name, wanted))
    if q:
        query = query.where(Organization.search.contains(q.casefold(), autoescape=True))
    order = [SORTS[sort.removeprefix("-")], Organization.id]
    if sort.startswith("-"):
        order = [desc(column) for column in order]
    return query.order_by(*order)


def own(organization_id: str) -> Select[Any]:
    """The one organization that a customer's members see, as rows of ``customers``."""
    return _with_attention().where(Organization.id == organization_id).order_by(Organization.id)


def _condition(name: str, wanted: Any) -> ColumnElement[bool]:
    if name != "attention":
        column: ColumnElement[Any] = getattr(Organization, name)
        return column == wanted
    return or_(*ATTENTION.values()) if wanted == "any" else ATTENTION[wanted]


def show_listed(row: Any) -> dict[str, Any]:
    """An organization with its summary, as the API lists it."""
    shown = {name: getattr(row, name) for name in _SINGLE}
    shown["billing"] = billing_of(row)
    shown["owner"] = {name: row.owner[name] for name in _OWNER if name in row.owner}
    shown["summary"] = {
        "usable_credits": row.usable_credits,
        "balance": row.balance,
        "credit_limit": row.limit_now,
        "amount_due": row.amount_due,
        "days_to_empty": None if row.days_to_empty == values.NEVER_EMPTY else row.days_to_empty,
        "subscriptions_active": 0,
        "subscriptions_expiring": 0,
        "members": row.members,
        "admins": row.admins,
        "attention": [code for code in ATTENTION if getattr(row, code)],
        "as_of": row.as_of,
    }
    return shown


def _with_attention() -> Any:
    """Columns instead of organizations: a list has many, and changes none."""
    return select(*_LISTED, *(flag.label(code) for code, flag in ATTENTION.items()))
