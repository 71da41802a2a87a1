"""The form of a new customer, in steps."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from console.forms import AMOUNT_LENGTH, Field, Form
from console.values import locale

ORGANIZATION = (
    Field("name", "Organization name", hint="2 to 255 characters. You can change this later."),
    Field(
        "country",
        "Country",
        "select",
        hint="Determines which taxes apply. You can't change this later.",
        options=(("", "Select a country"), *locale.countries()),
    ),
    Field(
        "currency",
        "Currency",
        "select",
        hint="You can't change this later.",
        options=(("", "Use the country's"), *locale.currencies()),
    ),
    Field(
        "timezone",
        "Time zone",
        "select",
        hint="Used for days and billing cycles. You can't change this later.",
        options=(("", "Use the country's"), *locale.zones()),
    ),
    Field(
        "pricing_model",
        "Pricing model",
        "radio",
        hint="You can't change this later.",
        options=(
            ("app", "App: individual applications, each with its own price"),
            ("license", "License: one price plan, features come with licenses"),
        ),
    ),
    Field(
        "managed_by",
        "Managed by",
        "radio",
        empty_error="Select who manages the organization.",
        hint="If the customer manages the organization, Remote Support needs its approval.",
        options=(("provider", "Provider (us)"), ("customer", "Customer")),
    ),
    Field("demo", "This is a demo account", "checkbox", required=False),
)
BILLING = (
    Field(
        "payment_mode",
        "Payment mode",
        "radio",
        hint="You can change this later.",
        options=(
            ("prepaid", "Prepaid: buys credits in advance"),
            ("postpaid", "Postpaid: receives invoices, up to a credit limit"),
        ),
    ),
    Field(
        "credit_limit",
        "Credit limit",
        "money",
        hint="How much the customer can use before paying, such as 500.00. Required for postpaid.",
        required=False,
        max_length=AMOUNT_LENGTH,
    ),
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
    Field(
        "customer_ref",
        "CustomerRef",
        pointer="/buyer_tags/CustomerRef",
        required=False,
        hint="Your own reference for this customer. Shown in lists and reports.",
    ),
    Field("billing_ref", "BillingRef", pointer="/buyer_tags/BillingRef", required=False),
    Field("type_ref", "TypeRef", pointer="/buyer_tags/TypeRef", required=False),
)
OWNER = (
    Field("given_name", "Given name", pointer="/owner/given_name", max_length=100),
    Field("family_name", "Family name", pointer="/owner/family_name", max_length=100),
    Field(
        "email",
        "Owner's email",
        "email",
        "/owner/email",
        empty_error="Enter the owner's email address.",
        max_length=254,
        hint="Receives a link to verify the address and choose a password.",
    ),
)
STEPS: Mapping[str, tuple[Field, ...]] = {
    "organization": ORGANIZATION,
    "billing": BILLING,
    "owner": OWNER,
    "check": (),
}
TITLES = {
    "organization": "Organization",
    "billing": "Billing",
    "owner": "Owner",
    "check": "Check answers",
}
ALL = ORGANIZATION + BILLING + OWNER
FIXED = ("country", "currency", "timezone", "pricing_model")
DEFAULTS = {"payment_mode": "prepaid", "managed_by": "provider"}


def fields_of(step: str, country: str) -> tuple[Field, ...]:
    """The fields of a step; the country's time zones first."""
    first = "Select one" if country and not locale.zone_of(country) else "Use the country's"
    zones = (("", first), *locale.zones(country))
    return tuple(
        replace(field, options=zones) if field.name == "timezone" else field
        for field in STEPS[step]
    )


def names_of(step: str) -> tuple[str, ...]:
    """The names of a step's fields."""
    return tuple(field.name for field in STEPS[step])


def step_of(name: str) -> str:
    """The step that has a field."""
    return next(step for step in STEPS if name in names_of(step))


def before(step: str) -> str:
    """The previous step."""
    order = list(STEPS)
    return order[max(0, order.index(step) - 1)]


def first_open(form: Form) -> str:
    """The first incomplete step; ``check`` if all are complete."""
    for step in STEPS:
        tried = Form(ALL, form.values)
        check(tried, step)
        if tried.summary:
            return step
    return "check"


def suggest(form: Form) -> None:
    """Fill in what follows from the country: its currency, and its time zone if it has only one."""
    country = form.value("country")
    form.values["currency"] = form.value("currency") or locale.currency_of(country)
    form.values["timezone"] = form.value("timezone") or locale.zone_of(country)


def check(form: Form, step: str) -> None:
    """Add errors for missing answers of a step; the API validates the rest."""
    for field in STEPS[step]:
        if not field.required or form.value(field.name):
            continue
        if field.name not in ("currency", "timezone"):
            form.add_error(field.name, field.missing)
        elif form.value("country"):
            form.add_error(field.name, f"{field.missing} This country has more than one, or none.")
    if step == "billing":
        form.check_amounts()
    if step == "organization" and len(form.value("name")) == 1:
        form.add_error("name", "Enter at least 2 characters.")
    if (
        form.value("payment_mode") == "postpaid"
        and step == "billing"
        and not form.value("credit_limit")
    ):
        form.add_error("credit_limit", "Enter a credit limit. Postpaid customers need one.")


def body(form: Form) -> dict[str, Any]:
    """The JSON body. A billing name equal to the organization's is omitted."""
    if form.value("billing_name") == form.value("name"):
        form.values["billing_name"] = ""
    return form.body()
