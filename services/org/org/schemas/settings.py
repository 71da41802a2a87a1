"""The provider's settings as requests and responses carry them."""

from typing import Any

import marshmallow as ma
from chassis.http.fields import Flag, Name, Text
from contracts import numbering

from org.schemas import fields
from org.values import logos

_OVERLAP = "overlap: Another rate of this tax begins on the same day. Remove one of them."


class Company(ma.Schema):
    """The provider as documents and mail name it. ``logo``: a PNG or JPEG image in base64, which is
    encoded again before it is stored; ``sender``: the name that mail is sent under. null empties
    a field."""

    name = Name(allow_none=True)
    address = Text(most=500, lines=True, allow_none=True)
    city = Text(allow_none=True)
    tax_id = Text(most=64, allow_none=True)
    registration = Text(allow_none=True)
    bank_details = Text(most=500, lines=True, allow_none=True)
    logo = ma.fields.String(
        allow_none=True,
        validate=ma.validate.Length(
            max=logos.MAX_CHARACTERS,
            error=f"too_large: Must be at most {logos.MAX_BYTES // 1024} KB.",
        ),
    )
    sender = Name(most=100, allow_none=True)


class Pattern(Text):
    """A pattern of document numbers."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if problem := numbering.problem_of(text):
            raise ma.ValidationError(problem)
        return text


def _next_number() -> ma.fields.Integer:
    return ma.fields.Integer(
        strict=True, allow_none=True, validate=ma.validate.Range(1, numbering.MAX_SEQUENCE)
    )


class NextNumbers(ma.Schema):
    """From which number on documents are numbered, if their sequence has not come that far."""

    invoice = _next_number()
    credit_note = _next_number()
    receipt = _next_number()


class Numbering(ma.Schema):
    """Patterns of document numbers, with ``{seq:n}``, the number in at least n digits, and the year
    as ``{yyyy}`` or ``{yy}``. null brings back the default."""

    invoice = Pattern(allow_none=True)
    credit_note = Pattern(allow_none=True)
    receipt = Pattern(allow_none=True)
    next = ma.fields.Nested(NextNumbers, allow_none=True)


class Settings(ma.Schema):
    """The provider's settings. ``applied_by``: the services that apply them already."""

    company = ma.fields.Nested(Company)
    managed_service = ma.fields.Boolean()
    allow_refund = ma.fields.Boolean()
    low_credit_threshold = ma.fields.String()
    invoicing = ma.fields.String()
    payment_terms_days = ma.fields.Integer()
    tax_rates = ma.fields.List(ma.fields.Dict())
    deletion_grace_days = ma.fields.Integer()
    numbering = ma.fields.Nested(Numbering)
    document_rounding = ma.fields.String(
        metadata={"description": "To what the tax and the total of documents are rounded"}
    )
    mfa_required = ma.fields.Boolean(
        metadata={"description": "Staff must sign in with one-time codes"}
    )
    step_up_required = ma.fields.Boolean(
        metadata={"description": "Sensitive actions require re-authentication"}
    )
    invitations_per_hour = ma.fields.Integer(
        metadata={
            "description": "How many invitations the provider's staff and API keys send in an hour;"
            " the owners of as many new customers are invited besides, later ones in their turn"
        }
    )
    applied_by = ma.fields.List(ma.fields.String(), dump_only=True)


class TaxRate(ma.Schema):
    """A country's tax from a day on; ``rate`` in percent."""

    country = fields.country(required=True)
    name = Name(required=True, most=50)
    rate = ma.fields.String(
        required=True, validate=ma.validate.Regexp(r"^(100|[0-9]{1,2}(\.[0-9]{1,4})?)\Z")
    )
    valid_from = ma.fields.Date(required=True)

    @ma.post_load
    def day_as_text(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """The day as text, for the JSON column."""
        return {**data, "valid_from": data["valid_from"].isoformat()}


class SettingsPatch(ma.Schema):
    """Settings to change; the parts of company and numbering that are not named stay as they are. A
    country's tax of one name has one rate from a day on."""

    company = ma.fields.Nested(Company)
    managed_service = Flag()
    allow_refund = Flag()
    low_credit_threshold = fields.amount()
    invoicing = fields.choice("individual", "consolidated", "none")
    payment_terms_days = ma.fields.Integer(strict=True, validate=ma.validate.Range(0, 365))
    tax_rates = ma.fields.List(ma.fields.Nested(TaxRate), validate=ma.validate.Length(max=300))
    deletion_grace_days = ma.fields.Integer(strict=True, validate=ma.validate.Range(0, 365))
    numbering = ma.fields.Nested(Numbering)
    document_rounding = fields.choice("currency", "none")
    mfa_required = Flag()
    step_up_required = Flag()
    invitations_per_hour = ma.fields.Integer(strict=True, validate=ma.validate.Range(1, 10_000))

    @ma.validates_schema
    def check_tax_rates(self, data: dict[str, Any], **_: Any) -> None:
        """Names are compared in any case. Raises ValidationError at each later one of a pair."""
        seen: set[tuple[str, str, str]] = set()
        errors = {}
        for index, rate in enumerate(data.get("tax_rates", ())):
            key = (rate["country"], rate["name"].casefold(), rate["valid_from"])
            if key in seen:
                errors[index] = {"valid_from": [_OVERLAP]}
            seen.add(key)
        if errors:
            raise ma.ValidationError({"tax_rates": errors})
