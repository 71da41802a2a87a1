"""The terms of an account: limit, automatic top-up, payment mode, stored card."""

from decimal import Decimal
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from console.forms import Form, money
from console.values import days, figures
from console.values.remedies import Remedy
from console.views import money_form, page
from console.views.money_form import CustomerAccount, FormPage
from console.views.page import needs
from console.views.payment.blueprint import blp


@blp.route("/payment/limit", methods=["GET", "POST"])
@needs("account.change")
def limit(org: str) -> ResponseReturnValue:
    """Set the credit limit, permanent or until a day."""
    customer = money_form.load(org)
    account = customer.account or {}
    is_postpaid = account.get("payment_mode") == "postpaid"
    ends = account.get("credit_limit_expires_at")
    last = days.last_day(ends, customer.zone) if ends else None
    about: tuple[tuple[str, str], ...] = ()
    if account:
        about = (
            ("Current limit", customer.money(account["credit_limit"])),
            ("Expires", days.text(last) if last else "Never"),
        )
    form_page = FormPage(
        "Credit limit",
        "Set limit",
        lambda result: f"The credit limit is now {customer.money(result['credit_limit'])}.",
        about=about,
    )
    values = {
        "credit_limit": account.get("credit_limit"),
        "term": "temporary" if ends else "permanent",
        "until": last,
    }
    return money_form.handle(
        customer,
        form_page,
        money.limit(customer.currency, customer.zone, postpaid=is_postpaid),
        lambda form: _patch(customer, money.limit_body(form, customer.zone), form),
        values=values,
        match=customer.match,
    )


@blp.route("/payment/auto-top-up", methods=["GET", "POST"])
@needs("account.change")
def auto_top_up(org: str) -> ResponseReturnValue:
    """Set up automatic top-up."""
    customer = money_form.load(org)
    current = (customer.account or {}).get("auto_top_up", {})
    default = _default_threshold(customer)
    fields = money.auto_top_up(
        customer.currency,
        customer.has_card,
        f", currently {customer.money(default)}" if default else "",
    )
    form_page = FormPage(
        "Automatic top-up",
        "Save",
        lambda result: (
            "Automatic top-up is on."
            if result["auto_top_up"]["enabled"]
            else "Automatic top-up is off."
        ),
    )
    values = {
        **current,
        "threshold": "" if current.get("threshold") == default else current.get("threshold"),
    }
    return money_form.handle(
        customer,
        form_page,
        fields,
        lambda form: _patch(customer, form.body(empty=True), form),
        values=values,
        match=customer.match,
    )


@blp.route("/payment/mode", methods=["GET", "POST"])
@needs("account.change")
def mode(org: str) -> ResponseReturnValue:
    """Switch between prepaid and postpaid."""
    customer = money_form.load(org)
    account = customer.account or {}
    target = request.form.get("payment_mode") or (
        "prepaid" if account.get("payment_mode") == "postpaid" else "postpaid"
    )
    form_page = FormPage(
        f"Change to {target}",
        f"Change to {target}",
        lambda result: f"The account is now {result['payment_mode']}.",
        lead=_postpaid_words(customer) if target == "postpaid" else _prepaid_words(customer),
        blocked=_open(customer, target),
    )
    held = account.get("credit_limit", "0")
    values = {"payment_mode": target, "credit_limit": held if Decimal(held) else ""}
    return money_form.handle(
        customer,
        form_page,
        money.mode(customer.currency, target),
        lambda form: _change_mode(customer, form),
        values=values,
        match=customer.match,
    )


@blp.route("/payment/remove-card", methods=["GET", "POST"])
@needs("account.remove_card")
def remove_card(org: str) -> ResponseReturnValue:
    """Remove the stored card."""
    customer = money_form.load(org)
    form_page = FormPage(
        "Remove stored card?",
        "Remove card",
        lambda _response: "The stored card was removed.",
        danger=True,
        lead="The card is no longer charged. Automatic top-up by card is turned off.",
    )
    return money_form.handle(
        customer,
        form_page,
        (),
        lambda _form: page.api().delete(f"{customer.path}/account/payment-method"),
    )


def _patch(customer: CustomerAccount, body: dict[str, Any], form: Form) -> Any:
    return page.api().patch(f"{customer.path}/account", body, match=form.match)


def _change_mode(customer: CustomerAccount, form: Form) -> Any:
    body: dict[str, Any] = {"payment_mode": form.value("payment_mode")}
    if body["payment_mode"] == "postpaid":
        money.require(form, "credit_limit")
        limit = form.amount("credit_limit")
        body |= {"credit_limit": limit, "credit_limit_expires_at": None}
    return _patch(customer, body, form)


def _postpaid_words(customer: CustomerAccount) -> str:
    balance = (customer.account or {}).get("balance", "0")
    reserved = Decimal((customer.account or {}).get("reserved_credits", "0"))
    wallet = figures.plain(Decimal(balance) + reserved, customer.currency)
    words = "Charges go on the next invoice, up to the credit limit."
    if wallet.startswith("-"):
        owed = customer.money(wallet.lstrip("-"))
        return f"{words} The {owed} owed becomes unbilled and goes on the next invoice."
    if Decimal(wallet):
        return (
            f"{words} The balance of {customer.money(wallet)} becomes an overpayment, "
            "which pays the next invoices."
        )
    return f"{words} The balance is zero, so nothing is moved."


def _prepaid_words(customer: CustomerAccount) -> str:
    words = "Charges are deducted from the balance immediately."
    due = (customer.account or {}).get("amount_due", "0")
    if Decimal(due) > 0:
        words += f" The overpaid {customer.money(due)} becomes the balance."
    return (
        f"{words} The credit limit stays; consider removing it. "
        "The best time to change is right after the monthly invoice."
    )


def _open(customer: CustomerAccount, target: str) -> list[Remedy]:
    """What must be resolved first, as far as the figures tell."""
    account, steps = customer.account, []
    if target != "prepaid" or not account:
        return []
    if Decimal(account["expecting_invoice"]) < 0:
        steps.append(
            Remedy(
                f"{customer.money(account['expecting_invoice'].lstrip('-'))} is unbilled. "
                "Issue an invoice first.",
                "invoices.issue",
                "Issue invoice",
            )
        )
    if Decimal(account["amount_due"]) < 0:
        steps.append(
            Remedy(
                f"{customer.money(account['amount_due'].lstrip('-'))} is due. "
                "Record the payment first.",
                "invoices.pay",
                "Record payment",
            )
        )
    return steps


def _default_threshold(customer: CustomerAccount) -> str | None:
    """20% of the last top-up; None if there was none."""
    top_ups = page.api().get(f"{customer.path}/account/transactions", kind="top_up", limit=1)[
        "data"
    ]
    return figures.share(top_ups[0]["amount"], 20, customer.currency) if top_ups else None
