"""What is posted to an account by hand: money in and out, charges, corrections, refunds."""

from decimal import Decimal

from flask.typing import ResponseReturnValue

from console.forms import money
from console.values import figures
from console.views import desk, page
from console.views.desk import Sheet
from console.views.page import needs
from console.views.payment.place import blp


@blp.route("/payment/top-up", methods=["GET", "POST"])
@needs("account.top_up")
def top_up(org: str) -> ResponseReturnValue:
    """Credit the account."""
    at = desk.sit(org)
    sheet = Sheet("Top up", "Top up", lambda answer: f"Topped up {at.money(answer['amount'])}.")
    return desk.ask(
        at,
        sheet,
        money.top_up(at.currency, at.has_card),
        lambda form: desk.post(at, "account/top-ups", form.body(), form),
    )


@blp.route("/payment/withdraw", methods=["GET", "POST"])
@needs("account.withdraw")
def withdraw(org: str) -> ResponseReturnValue:
    """Pay money out."""
    at = desk.sit(org)
    there = figures.withdrawable(at.account) if at.account else ""
    sheet = Sheet(
        "Withdraw",
        "Withdraw",
        lambda answer: f"Withdrew {at.money(answer['amount'].lstrip('-'))}.",
        lead="Record money paid back to the customer. You can reverse a withdrawal, but not delete it.",
        about=(("Available to withdraw", at.money(there)),) if there else (),
        danger=True,
    )
    return desk.ask(
        at,
        sheet,
        money.withdrawal(at.currency, at.has_card),
        lambda form: desk.post(at, "account/withdrawals", form.body(), form),
        values={"amount": there if there and Decimal(there) else ""},
    )


@blp.route("/payment/charge", methods=["GET", "POST"])
@needs("account.charge")
def charge(org: str) -> ResponseReturnValue:
    """Charge the account."""
    at = desk.sit(org)
    sheet = Sheet(
        "Charge",
        "Charge account",
        lambda answer: (
            f"Recorded with external invoice {answer['external_invoice']}. No money was moved."
            if answer["external_invoice"]
            else f"Charged {at.money(answer['amount'].lstrip('-'))}."
        ),
    )
    return desk.ask(
        at,
        sheet,
        money.charge(at.currency),
        lambda form: desk.post(at, "account/charges", form.body(), form),
    )


@blp.route("/payment/adjust", methods=["GET", "POST"])
@needs("account.adjust")
def adjust(org: str) -> ResponseReturnValue:
    """Correct the account by hand."""
    at = desk.sit(org)
    sheet = Sheet(
        "Adjust balance",
        "Adjust balance",
        lambda answer: f"Adjusted by {at.money(answer['amount'])}.",
        lead="Write off small balances or correct errors. The credit limit does not apply.",
    )
    return desk.ask(
        at,
        sheet,
        money.adjustment(at.currency),
        lambda form: desk.post(at, "account/adjustments", form.body(), form),
    )


@blp.route("/payment/refund/<transaction>", methods=["GET", "POST"])
@needs("account.refund")
def refund(org: str, transaction: str) -> ResponseReturnValue:
    """Give a charge back, whole or in part."""
    at = desk.sit(org)
    charged = page.api().get(f"{at.at}/account/transactions/{transaction}")
    sheet = Sheet(
        "Refund charge",
        "Refund",
        lambda answer: f"Refunded {at.money(answer['amount'])}.",
        lead="The money goes back to the account. If the charge is on an invoice, a credit note is issued.",
        back="transactions.one",
        where={"transaction": transaction},
        about=(
            ("Charge", charged["description"] or "–"),
            ("Amount", at.money(charged["amount"].lstrip("-"))),
        ),
    )
    return desk.ask(
        at,
        sheet,
        money.part(at.currency, "the full remaining amount"),
        lambda form: desk.post(
            at, "account/refunds", {"transaction_id": transaction, **form.body()}, form
        ),
    )
