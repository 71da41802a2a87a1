"""The provider's settings as requests and responses carry them."""

from typing import Any

import marshmallow as ma
from chassis.http.fields import Flag, Name

from org.schemas import fields

_OVERLAP = "overlap: Another rate of this tax begins on the same day. Remove one of them."


class Settings(ma.Schema):
    """The provider's settings. ``applied_by``: the services that apply them already."""

    managed_service = ma.fields.Boolean()
    allow_refund = ma.fields.Boolean()
    low_credit_threshold = ma.fields.String()
    invoicing = ma.fields.String()
    payment_terms_days = ma.fields.Integer()
    tax_rates = ma.fields.List(ma.fields.Dict())
    deletion_grace_days = ma.fields.Integer()
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
    """Settings to change. A country's tax of one name has one rate from a day on."""

    managed_service = Flag()
    allow_refund = Flag()
    low_credit_threshold = fields.amount()
    invoicing = fields.choice("individual", "consolidated", "none")
    payment_terms_days = ma.fields.Integer(strict=True, validate=ma.validate.Range(0, 365))
    tax_rates = ma.fields.List(ma.fields.Nested(TaxRate), validate=ma.validate.Length(max=300))
    deletion_grace_days = ma.fields.Integer(strict=True, validate=ma.validate.Range(0, 365))
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
