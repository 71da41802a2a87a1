"""A form about a customer's money, with the account's figures, and remedies if the API refuses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from flask import Response, request, url_for

from console.clients import Missing, fetch_all
from console.forms import Field, Form
from console.values import figures, remedies
from console.values.amounts import money
from console.views import page

_CONFIRMED = "confirmed"  # as submitted: yes, or edit to change what was entered


@dataclass(frozen=True)
class CustomerAccount:
    """A customer with its account; ``match``: the ETag of the account."""

    organization: dict[str, Any]
    account: Any
    match: str = ""

    @property
    def path(self) -> str:
        """The customer's path in the API."""
        return f"/v1/organizations/{self.organization['id']}"

    @property
    def currency(self) -> str:
        """The currency of the account."""
        return str(self.organization["currency"])

    @property
    def zone(self) -> str:
        """The time zone of the customer."""
        return str(self.organization["timezone"])

    @property
    def has_card(self) -> bool:
        """Whether a card is stored."""
        return bool(self.account and self.account["payment_method"])

    def money(self, amount: str | None) -> str:
        """An amount of this account."""
        return money(amount, self.currency)


@dataclass(frozen=True)
class FormPage:
    """The texts of a form page. ``done``: the message afterwards, from the response of the API;
    ``back``, ``where``: the page before and after; ``about``: terms with text, ``amounts``: terms
    with amounts; ``blocked``: what must be resolved first; ``change``: by how much the balance will
    change, None if that is not known. With it, the form is confirmed before it is sent."""

    title: str
    verb: str
    done: Callable[[Any], str]
    lead: str = ""
    danger: bool = False
    back: str = "payment.show"
    where: dict[str, str] = field(default_factory=dict)
    about: Sequence[tuple[str, str]] = ()
    amounts: Sequence[tuple[str, str]] = ()
    blocked: Sequence[remedies.Remedy] = ()
    change: Callable[[Form], Decimal | None] | None = None


def load(org: str) -> CustomerAccount:
    """Load the customer and its account. Raises Refusal; after a submission only if the customer
    cannot be loaded, so that the entered values are not lost."""
    api, base = page.api(), f"/v1/organizations/{org}"
    responses = fetch_all(
        organization=lambda: api.get(base), account=lambda: api.ask("GET", f"{base}/account")
    )
    if isinstance(responses["organization"], Missing):
        raise responses["organization"].refusal
    if isinstance(responses["account"], Missing):
        if request.method != "POST":
            raise responses["account"].refusal
        return CustomerAccount(responses["organization"], responses["account"])
    return CustomerAccount(
        responses["organization"],
        responses["account"].json(),
        responses["account"].headers.get("ETag", ""),
    )


def handle(
    customer: CustomerAccount,
    form_page: FormPage,
    fields: Sequence[Field],
    send: Callable[[Form], Any],
    *,
    values: dict[str, Any] | None = None,
    match: str = "",
    **more: Any,
) -> Response:
    """Show the form, or submit it and return to the page it was opened from. ``match``: the ETag it
    is sent with.

    Raises ReauthenticationRequired, and Refusal if the session has ended."""
    held = values or {}
    form = page.form(fields, held | _suggested(fields), match=match)
    if form_page.change and request.method == "POST":
        form.check_required()
        form.check_amounts()
        if not form.summary and _CONFIRMED not in request.form:
            return _ask_to_confirm(customer, form_page, form)
    is_sent = request.form.get(_CONFIRMED) != "edit" and not form.summary
    response = page.submit(form, lambda: send(form)) if is_sent else None
    if response is not None:
        return page.done(form_page.done(response), form_page.back, **form_page.where)
    page.show_conflict(form, held, match=match)
    offered = (
        remedies.find(form.refusal.more, customer.currency) if form.refusal else form_page.blocked
    )
    return page.show(
        "money_form.html",
        organization=customer.organization,
        account=customer.account,
        form=form,
        form_page=form_page,
        remedies=[(remedy, _link(remedy)) for remedy in offered],
        **more,
    )


def _ask_to_confirm(customer: CustomerAccount, form_page: FormPage, form: Form) -> Response:
    """What was entered, and the balance before and after, without anything being sent yet."""
    change = form_page.change(form) if form_page.change else None
    figures_after = (
        figures.after(customer.account, change) if customer.account and change is not None else ()
    )
    return page.show(
        "money_confirm.html",
        organization=customer.organization,
        form=form,
        form_page=form_page,
        typed=[
            (control.label, form.display(control, form.value(control.name)))
            for control in form.fields
            if form.value(control.name)
        ],
        after=figures_after,
        currency=customer.currency,
    )


def post(customer: CustomerAccount, path: str, body: dict[str, Any], form: Form) -> Any:
    """POST below the customer, once per submission."""
    return page.api().post(f"{customer.path}/{path}", body, key=form.key)


def _suggested(fields: Sequence[Field]) -> dict[str, Any]:
    """Values that a link of ours suggests; only for fields that are visible before the form is
    sent."""
    return {
        field.name: request.args[field.name]
        for field in fields
        if field.kind != "hidden" and field.name in request.args
    }


def _link(remedy: remedies.Remedy) -> str:
    return url_for(remedy.endpoint, **dict[str, Any](remedy.query)) if remedy.endpoint else ""
