"""The forms of a customer's settings."""

from typing import Any

from console.forms import Field, Form

GENERAL = (Field("name", "Organization name", hint="2 to 255 characters."),)
BILLING = (
    Field(
        "billing_name",
        "Billing name",
        pointer="/billing/name",
        required=False,
        hint="Leave empty to use the organization name.",
    ),
    Field(
        "billing_email",
        "Billing email",
        "email",
        "/billing/email",
        max_length=254,
        hint="Receives all notices about invoices and credits.",
    ),
    Field(
        "billing_address",
        "Billing address",
        "textarea",
        "/billing/address",
        required=False,
        max_length=500,
    ),
    Field("billing_city", "City", pointer="/billing/city", required=False),
)
TAGS = (
    Field(
        "customer_ref",
        "CustomerRef",
        pointer="/buyer_tags/CustomerRef",
        required=False,
        hint="Your own reference for this customer. Shown in lists and reports.",
    ),
    Field("billing_ref", "BillingRef", pointer="/buyer_tags/BillingRef", required=False),
    Field("type_ref", "TypeRef", pointer="/buyer_tags/TypeRef", required=False),
    Field("demo", "This is a demo account", "checkbox", required=False),
)
REASON = (Field("reason", "Reason", "textarea", max_length=500, hint="Recorded in the audit log."),)


def blocks(*, billing_email: bool, tags: bool) -> dict[str, tuple[Field, ...]]:
    """Title -> fields, as far as they may be changed."""
    billing = tuple(field for field in BILLING if billing_email or field.name != "billing_email")
    return {"General": GENERAL, "Billing": billing} | ({"Buyer tags": TAGS} if tags else {})


def values(organization: dict[str, Any]) -> dict[str, Any]:
    """The current values of the fields. A billing name that follows the organization's is shown
    empty."""
    billing, tags = organization["billing"], organization["buyer_tags"]
    return {
        "name": organization["name"],
        "billing_name": billing["name"] if has_own_billing_name(organization) else "",
        "billing_email": billing["email"],
        "billing_address": billing["address"],
        "billing_city": billing["city"],
        "customer_ref": tags.get("CustomerRef"),
        "billing_ref": tags.get("BillingRef"),
        "type_ref": tags.get("TypeRef"),
        "demo": organization["demo"],
    }


def has_own_billing_name(organization: dict[str, Any]) -> bool:
    """Whether the billing name differs from the organization's."""
    return bool(organization["billing"]["name"] != organization["name"])


def body(form: Form) -> dict[str, Any]:
    """The JSON body: all fields, null if empty."""
    if form.value("billing_name") == form.value("name"):
        form.values["billing_name"] = ""
    return form.body(empty=True)
