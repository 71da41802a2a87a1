"""Organizations: one of them, the list of customers."""

import json
import re
from collections.abc import Collection
from typing import Any

from chassis.errors import NotFound
from sqlalchemy import JSON, ColumnElement, Select, Text, and_, bindparam, cast, desc, or_, select
from sqlalchemy.orm import Session

from org import values
from org.models import FIELDS, Organization
from org.models.organizations import billing_of

_TABLE = Organization.__table__.c
# The part of the credit limit that is left when the limit is near.
_LIMIT_NEAR = 10
# Of others nothing can be done about these, or their services cannot spend.
_IS_ACTIVE = _TABLE.status == values.ACTIVE
ATTENTION: dict[str, ColumnElement[bool]] = {
    "invoice_overdue": _TABLE.oldest_due_on.is_not(None),
    "credits_overdrawn": _TABLE.usable_units < 0,
    "limit_near": and_(
        _IS_ACTIVE,
        _TABLE.limit_units > 0,
        _TABLE.usable_units.between(0, _TABLE.limit_units // _LIMIT_NEAR),
    ),
    "top_up_failed": and_(_IS_ACTIVE, _TABLE.failed_top_up_units.is_not(None)),
    "credits_run_out": and_(_IS_ACTIVE, _TABLE.days_to_empty <= 7),
    "owner_unverified": and_(_IS_ACTIVE, _TABLE.owner["verified"].as_boolean().is_(False)),
    "deletion_scheduled": _TABLE.status == values.SUSPENDED_FOR_DELETION,
}
# Amounts of different currencies cannot be compared.
SORTS: dict[str, tuple[Any, ...]] = {
    "name": (_TABLE.sort_name,),
    "created_at": (_TABLE.created_at,),
    "usable_credits": (_TABLE.currency, _TABLE.usable_units),
    "days_to_empty": (_TABLE.days_to_empty,),
}
_OWNER = ("member_id", "given_name", "family_name", "email", "verified")
_SINGLE = [name for name in FIELDS if name not in ("billing", "owner")]
_INTERNAL = (
    "sort_name",
    "search",
    "credit_limit",
    "limit_units",
    "usable_units",
    "failed_top_up_units",
)
# Columns of the table instead of organizations: a list has many, and changes none. Its JSON is read
# as text, which takes less time to parse than the driver's bytes.
_LISTED = select(
    *(
        cast(column, Text).label(column.name) if isinstance(column.type, JSON) else column
        for column in _TABLE
        if column.name not in _INTERNAL
    ),
    *(flag.label(code) for code, flag in ATTENTION.items()),
)
_NAMES = _LISTED.selected_columns.keys()


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


def customers(*, filters: Collection[str], attention: str | None, sort: str) -> Select[Any]:
    """A provider's customers: rows for ``show_listed``. The parameters are ``provider_id`` and the
    filters by their names, where ``attention`` is one of the filters by its value; ``q`` as made by
    ``contained``.

    Deleted customers are included only if one of the filters is the status."""
    conditions = [_TABLE.provider_id == bindparam("provider_id"), _TABLE.kind == "customer"]
    if "status" not in filters:
        conditions.append(_TABLE.status != values.DELETED)
    conditions += [_condition(name, attention) for name in sorted(filters)]
    order = [*SORTS[sort.removeprefix("-")], _TABLE.id]
    if sort.startswith("-"):
        order = [desc(column) for column in order]
    return _LISTED.where(*conditions).order_by(*order)


def own() -> Select[Any]:
    """The one organization that a customer's members see, as rows of ``customers``; its parameter
    is ``organization_id``."""
    return _LISTED.where(_TABLE.id == bindparam("organization_id")).order_by(_TABLE.id)


def contained(q: str) -> str:
    """The parameter by which customers are searched for this text."""
    return re.sub("[/%_]", r"/\g<0>", q.casefold())


def _condition(name: str, attention: str | None) -> ColumnElement[bool]:
    if name == "q":
        return _TABLE.search.contains(bindparam("q", type_=Text), escape="/")
    if name == "attention":
        return ATTENTION[attention] if attention in ATTENTION else or_(*ATTENTION.values())
    column: ColumnElement[Any] = _TABLE[name]
    return column == bindparam(name)


def show_listed(row: Any) -> dict[str, Any]:
    """An organization with its summary, as the API lists it."""
    listed = dict(zip(_NAMES, row, strict=False))
    owner, days = json.loads(listed["owner"]), listed["days_to_empty"]
    shown = {name: listed[name] for name in _SINGLE}
    shown["buyer_tags"] = json.loads(listed["buyer_tags"])
    shown["billing"] = billing_of(row)
    shown["owner"] = {name: owner[name] for name in _OWNER if name in owner}
    shown["summary"] = {
        "usable_credits": listed["usable_credits"],
        "balance": listed["balance"],
        "credit_limit": listed["limit_now"],
        "amount_due": listed["amount_due"],
        "overdue_amount": listed["overdue_amount"] or values.zero(listed["currency"]),
        "oldest_due_on": listed["oldest_due_on"] and listed["oldest_due_on"].isoformat(),
        "days_to_empty": None if days == values.NEVER_EMPTY else days,
        "subscriptions_active": 0,
        "subscriptions_expiring": 0,
        "members": listed["members"],
        "admins": listed["admins"],
        "attention": [code for code in ATTENTION if listed[code]],
        "as_of": listed["as_of"],
    }
    return shown
