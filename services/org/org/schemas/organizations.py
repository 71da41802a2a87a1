"""Organizations as requests and responses carry them.

The fields of responses and of PATCH are those that ``org.models`` declares.
"""

from typing import Any

import marshmallow as ma
from chassis import names
from chassis.db.columns import Id, Instant
from chassis.http.fields import Email, Flag, Name, Stamp, Text
from chassis.http.paging import PageArgs
from sqlalchemy import Boolean, String

from org import queries, values
from org.models import FIELDS, Field
from org.schemas import fields


class Billing(ma.Schema):
    """Who is billed. ``name`` follows the organization's until it is set; null makes it follow
    again."""

    name = Name(allow_none=True)
    email = Email()
    address = Text(most=500, lines=True, allow_none=True)
    city = Text(allow_none=True)


class NewBilling(Billing):
    """Who is billed, at creation."""

    email = Email(required=True)


class NewOwner(ma.Schema):
    """The first owner."""

    given_name = Name(required=True, most=100, domains=False)
    family_name = Name(required=True, most=100, domains=False)
    email = Email(required=True)

    @ma.validates_schema
    def check_name(self, data: dict[str, Any], **_: Any) -> None:
        """Each part of the reserved name is allowed, both together are not."""
        if names.is_reserved(f"{data.get('given_name', '')} {data.get('family_name', '')}"):
            raise ma.ValidationError({"family_name": [f"reserved: {names.RESERVED}"]})


class BuyerTags(ma.Schema):
    """Free text for reports."""

    CustomerRef = Text(allow_none=True)
    BillingRef = Text(allow_none=True)
    TypeRef = Text(allow_none=True)


class Owner(ma.Schema):
    """The owner as lists show them."""

    member_id = ma.fields.String(allow_none=True)
    given_name = ma.fields.String()
    family_name = ma.fields.String()
    email = ma.fields.String()
    verified = ma.fields.Boolean()


# How fields are written and read that their columns alone do not tell.
_REQUEST_FIELDS: dict[str, ma.fields.Field[Any]] = {
    "name": fields.Name(least=2),
    "billing": ma.fields.Nested(Billing),
    "buyer_tags": ma.fields.Nested(BuyerTags),
    "managed_by": fields.choice("provider", "customer"),
}
_RESPONSE_FIELDS: dict[str, ma.fields.Field[Any]] = {
    "billing": ma.fields.Nested(Billing),
    "owner": ma.fields.Nested(Owner),
    "buyer_tags": ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String()),
}


def _request_field(field: Field) -> ma.fields.Field[Any]:
    if field.name in _REQUEST_FIELDS:
        return _REQUEST_FIELDS[field.name]
    (column,) = field.columns
    if isinstance(column.type, Boolean):
        return Flag()
    if isinstance(column.type, String):
        return Text(most=column.type.length or 255, allow_none=bool(column.nullable))
    raise TypeError(f"declare in _REQUEST_FIELDS how {field.name} is written")


def _response_field(field: Field) -> ma.fields.Field[Any]:
    if field.name in _RESPONSE_FIELDS:
        return _RESPONSE_FIELDS[field.name]
    (column,) = field.columns
    allow_none = True if column.nullable else None
    if isinstance(column.type, Boolean):
        return ma.fields.Boolean(allow_none=allow_none)
    if isinstance(column.type, Instant):
        return Stamp(allow_none=allow_none)
    if isinstance(column.type, String | Id):
        return ma.fields.String(allow_none=allow_none)
    raise TypeError(f"declare in _RESPONSE_FIELDS how {field.name} is read")


_PATCHABLE = {field.name: _request_field(field) for field in FIELDS.values() if field.patchable}


class NewOrganization(ma.Schema):
    """A customer to create."""

    name = fields.Name(required=True, least=2)
    country = fields.country(required=True)
    currency = fields.currency(required=True)
    timezone = fields.timezone(required=True)
    pricing_model = fields.choice("app", "license", required=True)
    payment_mode = fields.choice("prepaid", "postpaid", load_default="prepaid")
    credit_limit = fields.amount()
    billing = ma.fields.Nested(NewBilling, required=True)
    owner = ma.fields.Nested(NewOwner, required=True)

    class Meta:
        include = {
            name: _PATCHABLE[name]
            for name in _PATCHABLE
            if name not in ("name", "billing") and FIELDS[name].at_creation
        }

    @ma.validates_schema
    def postpaid_needs_a_limit(self, data: dict[str, Any], **_: Any) -> None:
        """A postpaid customer can only spend up to a limit."""
        if data.get("payment_mode") == "postpaid" and not values.micro_units(
            data.get("credit_limit", "0")
        ):
            raise ma.ValidationError(
                "required: A postpaid customer needs a credit_limit above zero.", "credit_limit"
            )


class OrganizationPatch(ma.Schema):
    """What can be changed. Fields that are fixed at creation are refused with ``immutable``."""

    class Meta:
        include = _PATCHABLE

    @ma.pre_load
    def some_are_fixed(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Name the fields that never change."""
        problems = {
            name: ["immutable: This cannot be changed after creation."]
            for name, field in FIELDS.items()
            if field.fixed and name in data
        }
        if problems:
            raise ma.ValidationError(problems)
        return data


class Organization(ma.Schema):
    """A provider or one of its customers."""

    class Meta:
        include = {field.name: _response_field(field) for field in FIELDS.values()}


def _days_to_empty(organization: Any) -> int | None:
    days: int = organization.days_to_empty
    return None if days == values.NEVER_EMPTY else days


class Summary(ma.Schema):
    """The latest figures of the other services, as of ``as_of``; amounts in the organization's
    currency."""

    usable_credits = ma.fields.String()
    balance = ma.fields.String()
    credit_limit = ma.fields.String(attribute="limit_now")
    amount_due = ma.fields.String()
    overdue_amount = ma.fields.String()
    oldest_due_on = ma.fields.Date(allow_none=True)
    days_to_empty = ma.fields.Function(_days_to_empty, metadata={"type": ["integer", "null"]})
    subscriptions_active = ma.fields.Constant(0)
    subscriptions_expiring = ma.fields.Constant(0)
    members = ma.fields.Integer()
    admins = ma.fields.Integer()
    attention = ma.fields.List(ma.fields.String())
    as_of = Stamp(allow_none=True)


class ListedOrganization(Organization):
    """An organization with its summary."""

    summary = ma.fields.Nested(Summary)


class ListQuery(PageArgs):
    """Search, filters and order of the list."""

    q = Text(least=1, most=255)
    status = fields.choice(*values.STATES)
    payment_mode = fields.choice("prepaid", "postpaid")
    country = fields.country()
    currency = fields.currency()
    demo = ma.fields.Boolean(truthy={"true"}, falsy={"false"})
    attention = fields.choice("any", *queries.ATTENTION)
    sort = fields.choice(
        *(order for name in queries.SORTS for order in (name, f"-{name}")), load_default="name"
    )


class RequiredReason(ma.Schema):
    """The reason."""

    reason = Text(required=True, most=500)


class Empty(ma.Schema):
    """An empty object."""
