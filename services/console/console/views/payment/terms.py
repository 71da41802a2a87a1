"""The terms of an account: limit, automatic top-up, payment mode, stored card."""

from decimal import Decimal
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from console.forms import Form, money
from console.values import days, figures
from console.values.cures import Way
from console.views import desk, page
from console.views.desk import Desk, Sheet
from console.views.page import needs
from console.views.payment.place import blp


@blp.route("/payment/limit", methods=["GET", "POST"])
@needs("account.change")
def limit(org: str) -> ResponseReturnValue:
    """How much may be borrowed, for good or until a day."""
    at = desk.sit(org)
    account = at.account or {}
    is_postpaid, ends = (
        account.get("payment_mode") == "postpaid",
        account.get("credit_limit_expires_at"),
    )
    last = days.last_day(ends, at.zone) if ends else None
    sheet = Sheet(
        "Credit limit",
        "Set limit",
        lambda answer: f"The credit limit is now {at.money(answer['credit_limit'])}.",
        about=(
            ("Current limit", at.money(account["credit_limit"])),
            ("Expires", days.said(last) if last else "Never"),
        )
        if account
        else (),
    )
    values = {
        "credit_limit": account.get("credit_limit"),
        "term": "temporary" if ends else "permanent",
        "until": last,
    }
    return desk.ask(
        at,
        sheet,
        money.limit(at.currency, at.zone, postpaid=is_postpaid),
        lambda form: _patch(at, money.limit_body(form, at.zone), form),
        values=values,
        match=at.match,
    )


@blp.route("/payment/auto-top-up", methods=["GET", "POST"])
@needs("account.change")
def auto_top_up(org: str) -> ResponseReturnValue:
    """When the account is topped up by itself."""
    at = desk.sit(org)
    standing = (at.account or {}).get("auto_top_up", {})
    default = _default_threshold(at)
    fields = money.auto_top_up(
        at.currency, at.has_card, f", currently {at.money(default)}" if default else ""
    )
    sheet = Sheet(
        "Automatic top-up",
        "Save",
        lambda answer: (
            "Automatic top-up is on."
            if answer["auto_top_up"]["enabled"]
            else "Automatic top-up is off."
        ),
    )
    values = {
        **standing,
        "threshold": "" if standing.get("threshold") == default else standing.get("threshold"),
    }
    return desk.ask(
        at,
        sheet,
        fields,
        lambda form: _patch(at, form.body(empty=True), form),
        values=values,
        match=at.match,
    )


@blp.route("/payment/mode", methods=["GET", "POST"])
@needs("account.change")
def mode(org: str) -> ResponseReturnValue:
    """From prepaid to postpaid, or back."""
    at = desk.sit(org)
    account = at.account or {}
    target = request.form.get("payment_mode") or (
        "prepaid" if account.get("payment_mode") == "postpaid" else "postpaid"
    )
    sheet = Sheet(
        f"Change to {target}",
        f"Change to {target}",
        lambda answer: f"The account is now {answer['payment_mode']}.",
        lead=_postpaid_words(at) if target == "postpaid" else _prepaid_words(at),
        blocked=_open(at, target),
    )
    held = account.get("credit_limit", "0")
    values = {"payment_mode": target, "credit_limit": held if Decimal(held) else ""}
    return desk.ask(
        at,
        sheet,
        money.mode(at.currency, target),
        lambda form: _change_mode(at, form),
        values=values,
        match=at.match,
    )


@blp.route("/payment/remove-card", methods=["GET", "POST"])
@needs("account.remove_card")
def remove_card(org: str) -> ResponseReturnValue:
    """Forget the stored card."""
    at = desk.sit(org)
    sheet = Sheet(
        "Remove stored card?",
        "Remove card",
        lambda _answer: "The stored card was removed.",
        danger=True,
        lead="The card is no longer charged. Automatic top-up by card is turned off.",
    )
    return desk.ask(
        at, sheet, (), lambda _form: page.api().delete(f"{at.at}/account/payment-method")
    )


def _patch(at: Desk, body: dict[str, Any], form: Form) -> Any:
    return page.api().patch(f"{at.at}/account", body, match=form.match)


def _change_mode(at: Desk, form: Form) -> Any:
    body: dict[str, Any] = {"payment_mode": form.value("payment_mode")}
    if body["payment_mode"] == "postpaid":
        money.require(form, "credit_limit")
        body |= {"credit_limit": form.value("credit_limit"), "credit_limit_expires_at": None}
    return _patch(at, body, form)


def _postpaid_words(at: Desk) -> str:
    balance = (at.account or {}).get("balance", "0")
    reserved = Decimal((at.account or {}).get("reserved_credits", "0"))
    wallet = figures.plain(Decimal(balance) + reserved, at.currency)
    words = "Charges go on the next invoice, up to the credit limit."
    if wallet.startswith("-"):
        return f"{words} The {at.money(wallet.lstrip('-'))} owed becomes unbilled and goes on the next invoice."
    if Decimal(wallet):
        return f"{words} The balance of {at.money(wallet)} becomes an overpayment, which pays the next invoices."
    return f"{words} The balance is zero, so nothing is moved."


def _prepaid_words(at: Desk) -> str:
    words = "Charges are deducted from the balance immediately."
    due = (at.account or {}).get("amount_due", "0")
    if Decimal(due) > 0:
        words += f" The overpaid {at.money(due)} becomes the balance."
    return f"{words} The credit limit stays; consider removing it. The best time to change is right after the monthly invoice."


def _open(at: Desk, target: str) -> list[Way]:
    """What must be settled before, as far as the figures tell."""
    account, found = at.account, []
    if target != "prepaid" or not account:
        return []
    if Decimal(account["expecting_invoice"]) < 0:
        found.append(
            Way(
                f"{at.money(account['expecting_invoice'].lstrip('-'))} is unbilled. Issue an invoice first.",
                "invoices.issue",
                "Issue invoice",
            )
        )
    if Decimal(account["amount_due"]) < 0:
        found.append(
            Way(
                f"{at.money(account['amount_due'].lstrip('-'))} is due. Record the payment first.",
                "invoices.pay",
                "Record payment",
            )
        )
    return found


def _default_threshold(at: Desk) -> str | None:
    """20 % of the last top-up; None where there was none."""
    found = page.api().get(f"{at.at}/account/transactions", kind="top_up", limit=1)["data"]
    return figures.share(found[0]["amount"], 20, at.currency) if found else None
