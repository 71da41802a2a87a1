"""What crosses the HTTP door."""

from typing import Any

import marshmallow as ma
from chassis.http.fields import Flag, Stamp, Text
from chassis.http.paging import PageArgs
from contracts.countries import COUNTRIES
from email_validator import EmailNotValidError, validate_email

from org import queries, values

FLAG_OR_ID = "^[a-z_]+$"


class Name(Text):
    """An organization's name: letters and digits of any script and the listed signs."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not values.is_name(text):
            raise ma.ValidationError(
                "characters: Use letters, digits, spaces and ~`#+$@&()[]<>\\/-_='\".:!?;^%*{} only."
            )
        return text


class Email(Text):
    """An e-mail address, normalised; whether it exists is for the mail to find out."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(most=254, metadata={"format": "email"}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return validate_email(
                text, check_deliverability=False, test_environment=True
            ).normalized
        except EmailNotValidError as problem:
            raise ma.ValidationError("email: This is not an e-mail address.") from problem


class OneOf(ma.validate.OneOf):
    """A choice, with a short answer for long lists."""

    def _format_error(self, value: Any) -> str:
        shown = (
            "one of " + ", ".join(map(str, self.choices))
            if len(list(self.choices)) < 10
            else self.error
        )
        return f"not_one_of: Must be {shown}."


_AMOUNT = {"pattern": r"^[0-9]{1,12}(\.[0-9]{1,6})?$"}


def _amount(text: str) -> None:
    if not values.is_amount(text):
        raise ma.ValidationError(
            "money: Must be a string with a decimal number: at most 12 digits before and 6 after the point."
        )


class Billing(ma.Schema):
    """Who is billed. ``name`` follows the organization's until it is set by hand; null lets it
    follow again."""

    name = Text(allow_none=True)
    email = Email()
    address = Text(most=500, lines=True, allow_none=True)
    city = Text(allow_none=True)


class NewBilling(Billing):
    """Who is billed, at creation."""

    email = Email(required=True)


class NewOwner(ma.Schema):
    """The first owner."""

    given_name = Text(required=True, most=100)
    family_name = Text(required=True, most=100)
    email = Email(required=True)


class BuyerTags(ma.Schema):
    """Free words for reports."""

    CustomerRef = Text(allow_none=True)
    BillingRef = Text(allow_none=True)
    TypeRef = Text(allow_none=True)


class NewOrganization(ma.Schema):
    """A customer to create."""

    name = Name(required=True, least=2)
    country = ma.fields.String(
        required=True, validate=OneOf(COUNTRIES, error="an ISO 3166 country code")
    )
    currency = ma.fields.String(
        required=True, validate=OneOf(values.currencies(), error="an ISO 4217 currency code")
    )
    timezone = ma.fields.String(
        required=True, validate=OneOf(values.timezones(), error="a time zone like Europe/Berlin")
    )
    pricing_model = ma.fields.String(required=True, validate=OneOf(("app", "license")))
    payment_mode = ma.fields.String(load_default="prepaid", validate=OneOf(("prepaid", "postpaid")))
    credit_limit = ma.fields.String(validate=_amount, metadata=_AMOUNT)
    billing = ma.fields.Nested(NewBilling, required=True)
    owner = ma.fields.Nested(NewOwner, required=True)
    buyer_tags = ma.fields.Nested(BuyerTags)
    demo = Flag()
    managed_by = ma.fields.String(validate=OneOf(("provider", "customer")))

    @ma.validates_schema
    def postpaid_needs_a_limit(self, data: dict[str, Any], **_: Any) -> None:
        """A postpaid customer spends on a limit only."""
        if data.get("payment_mode") == "postpaid" and "credit_limit" not in data:
            raise ma.ValidationError(
                "required: A postpaid customer needs a credit_limit.", "credit_limit"
            )


class OrganizationPatch(ma.Schema):
    """What can be changed. The fields fixed at creation are answered with ``immutable``."""

    name = Name(least=2)
    billing = ma.fields.Nested(Billing)
    buyer_tags = ma.fields.Nested(BuyerTags)
    demo = Flag()
    managed_by = ma.fields.String(validate=OneOf(("provider", "customer")))

    @ma.pre_load
    def some_are_fixed(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Name the fields that never change."""
        fixed = ("country", "currency", "timezone", "pricing_model")
        problems = {
            f: ["immutable: This was fixed when the organization was created."]
            for f in fixed
            if f in data
        }
        if problems:
            raise ma.ValidationError(problems)
        return data


class Owner(ma.Schema):
    """The owner as lists show them."""

    member_id = ma.fields.String(allow_none=True)
    given_name = ma.fields.String()
    family_name = ma.fields.String()
    email = ma.fields.String()
    verified = ma.fields.Boolean()


class Organization(ma.Schema):
    """A provider or one of its customers."""

    id = ma.fields.String()
    kind = ma.fields.String()
    provider_id = ma.fields.String()
    name = ma.fields.String()
    status = ma.fields.String()
    country = ma.fields.String()
    currency = ma.fields.String()
    timezone = ma.fields.String()
    pricing_model = ma.fields.String()
    payment_mode = ma.fields.String()
    billing = ma.fields.Nested(Billing)
    owner = ma.fields.Nested(Owner)
    buyer_tags = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String())
    demo = ma.fields.Boolean()
    managed_by = ma.fields.String()
    purge_at = Stamp(allow_none=True)
    created_at = Stamp()
    updated_at = Stamp()


class Summary(ma.Schema):
    """What the other services said last, as of ``as_of``; amounts in the organization's
    currency."""

    usable_credits = ma.fields.String()
    balance = ma.fields.String()
    credit_limit = ma.fields.String(attribute="limit_now")
    amount_due = ma.fields.String()
    days_to_empty = ma.fields.Function(
        lambda o: None if o.days_to_empty == values.NEVER_EMPTY else o.days_to_empty,
        metadata={"type": ["integer", "null"]},
    )
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
    status = ma.fields.String(validate=OneOf(tuple(values.STATES)))
    payment_mode = ma.fields.String(validate=OneOf(("prepaid", "postpaid")))
    country = ma.fields.String(validate=OneOf(COUNTRIES, error="an ISO 3166 country code"))
    currency = ma.fields.String(
        validate=OneOf(values.currencies(), error="an ISO 4217 currency code")
    )
    demo = ma.fields.Boolean(truthy={"true"}, falsy={"false"})
    attention = ma.fields.String(validate=OneOf(("any", *queries.ATTENTION)))
    sort = ma.fields.String(
        load_default="name", validate=OneOf(tuple(s for k in queries.SORTS for s in (k, f"-{k}")))
    )


class Reason(ma.Schema):
    """Why."""

    reason = Text(most=500)


class RequiredReason(ma.Schema):
    """Why."""

    reason = Text(required=True, most=500)


class Empty(ma.Schema):
    """Nothing."""


class Blocker(ma.Schema):
    """A reason that stands in the way, and the call that clears it."""

    code = ma.fields.String()
    detail = ma.fields.String()
    amount = ma.fields.String()
    currency = ma.fields.String()
    fix = ma.fields.Dict()


class Caution(ma.Schema):
    """Something to know before."""

    code = ma.fields.String()
    detail = ma.fields.String()


class DeletionCheck(ma.Schema):
    """Whether the organization could be deleted now."""

    deletable = ma.fields.Boolean()
    blockers = ma.fields.List(ma.fields.Nested(Blocker))
    warnings = ma.fields.List(ma.fields.Nested(Caution))


class Deletion(ma.Schema):
    """A wish to delete and what became of it."""

    id = ma.fields.String()
    organization_id = ma.fields.String()
    status = ma.fields.String()
    blockers = ma.fields.List(ma.fields.Nested(Blocker))
    reason = ma.fields.String(allow_none=True)
    requested_by = ma.fields.Dict()
    requested_at = Stamp()
    confirmed_at = Stamp(allow_none=True)
    purge_at = Stamp(allow_none=True)


class Settings(ma.Schema):
    """The provider's settings; ``applied_by`` the services that work by them already."""

    managed_service = ma.fields.Boolean()
    allow_refund = ma.fields.Boolean()
    low_credit_threshold = ma.fields.String()
    invoicing = ma.fields.String()
    payment_terms_days = ma.fields.Integer()
    tax_rates = ma.fields.List(ma.fields.Dict())
    deletion_grace_days = ma.fields.Integer()
    mfa_required = ma.fields.Boolean(metadata={"description": "Staff log in with one-time codes"})
    step_up_required = ma.fields.Boolean(
        metadata={"description": "The danger zone wants a fresh proof"}
    )
    applied_by = ma.fields.List(ma.fields.String(), dump_only=True)


class TaxRate(ma.Schema):
    """A tax of a country from a day on; ``rate`` in percent."""

    country = ma.fields.String(
        required=True, validate=OneOf(COUNTRIES, error="an ISO 3166 country code")
    )
    name = Text(required=True, most=50)
    rate = ma.fields.String(
        required=True, validate=ma.validate.Regexp(r"^(100|[0-9]{1,2}(\.[0-9]{1,4})?)\Z")
    )
    valid_from = ma.fields.Date(required=True)

    @ma.post_load
    def as_plain(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Days as text, for the JSON column."""
        return {**data, "valid_from": data["valid_from"].isoformat()}


class SettingsPatch(ma.Schema):
    """Settings to choose."""

    managed_service = Flag()
    allow_refund = Flag()
    low_credit_threshold = ma.fields.String(validate=_amount, metadata=_AMOUNT)
    invoicing = ma.fields.String(validate=OneOf(("individual", "consolidated", "none")))
    payment_terms_days = ma.fields.Integer(strict=True, validate=ma.validate.Range(0, 365))
    tax_rates = ma.fields.List(ma.fields.Nested(TaxRate), validate=ma.validate.Length(max=300))
    deletion_grace_days = ma.fields.Integer(strict=True, validate=ma.validate.Range(0, 365))
    mfa_required = Flag()
    step_up_required = Flag()


class TrailQuery(PageArgs):
    """Filters of the audit."""

    action = Text(most=64)
    actor = Text(most=64)
    actor_kind = ma.fields.String(
        validate=OneOf(("member", "staff", values.SUPPORT, "api_key", "system"))
    )
    target = Text(most=64)
    outcome = ma.fields.String(validate=OneOf(("ok", "denied", "error")))
    from_ = Stamp(data_key="from")
    to = Stamp()


class AuditRow(ma.Schema):
    """Who did what to whom."""

    id = ma.fields.String()
    at = Stamp()
    action = ma.fields.String()
    outcome = ma.fields.String()
    actor = ma.fields.Dict()
    target = ma.fields.Dict()
    changes = ma.fields.List(ma.fields.Dict())
    reason = ma.fields.String(allow_none=True)
    request_id = ma.fields.String(allow_none=True)
    service = ma.fields.String()


class TimelineRow(AuditRow):
    """What happened; ``message_id`` is the message that told org of it."""

    message_id = ma.fields.String()


# Why a bucket stands in the way, and the call that empties it.
_FIXES = {
    "credits_left": ("There are credits left. Withdraw them.", "POST", "account/withdrawals"),
    "amount_due": (
        "There is an amount due. Take a payment for it, or write it off.",
        "POST",
        "payments",
    ),
    "credits_reserved": (
        "Credits are reserved. Capture or release each of these reservations.",
        "GET",
        "account/reservations?status=open",
    ),
    "unbilled_amount": (
        "There are charges not invoiced yet. Issue the invoice and settle it.",
        "POST",
        "invoices",
    ),
    "overpaid": (
        "The customer has paid too much. Pay the surplus out.",
        "POST",
        "account/withdrawals",
    ),
    "payment_in_flight": ("A payment is under way. Wait for its outcome.", "GET", "account"),
}


# A prepaid customer has no invoices; what is due there is a wallet below zero.
_PREPAID_FIXES = {
    "amount_due": (
        "The credits are below zero. Top up, or write it off.",
        "POST",
        "account/top-ups",
    )
}


def blockers_for_people(
    organization_id: str, payment_mode: str, blockers: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Blockers as billing says them, with words and the way to clear each."""
    fixes, shown = _FIXES | (_PREPAID_FIXES if payment_mode == "prepaid" else {}), []
    for blocker in blockers:
        detail, method, path = fixes.get(
            blocker["code"], ("This must be settled first.", "GET", "account")
        )
        fix = {"method": method, "href": f"/v1/organizations/{organization_id}/{path}"}
        shown.append({**blocker, "detail": detail, "fix": fix})
    return shown
