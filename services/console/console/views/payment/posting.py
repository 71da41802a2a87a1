"""Manual postings: top-ups, withdrawals, charges, adjustments, refunds."""

from decimal import Decimal

from flask.typing import ResponseReturnValue

from console.forms import Form, money
from console.values import figures
from console.views import money_form, page
from console.views.money_form import FormPage
from console.views.page import needs
from console.views.payment.blueprint import blp


@blp.route("/payment/top-up", methods=["GET", "POST"])
@needs("account.top_up")
def top_up(org: str) -> ResponseReturnValue:
    """Top up the account."""
    customer = money_form.load(org)
    is_postpaid = bool(customer.account) and customer.account["payment_mode"] == "postpaid"
    form_page = FormPage(
        "Top up",
        "Top up",
        lambda result: f"Topped up {customer.money(result['amount'])}.",
        lead="It pays the oldest invoices. Any excess stays as credit and pays later invoices."
        if is_postpaid
        else "",
        change=_amount,
    )
    return money_form.handle(
        customer,
        form_page,
        money.top_up(customer.currency, customer.has_card),
        lambda form: money_form.post(customer, "account/top-ups", form.body(), form),
    )


@blp.route("/payment/withdraw", methods=["GET", "POST"])
@needs("account.withdraw")
def withdraw(org: str) -> ResponseReturnValue:
    """Withdraw money."""
    customer = money_form.load(org)
    available = figures.withdrawable(customer.account) if customer.account else ""
    form_page = FormPage(
        "Withdraw",
        "Withdraw",
        lambda result: f"Withdrew {customer.money(result['amount'].lstrip('-'))}.",
        lead="Record money paid back to the customer. You can reverse a withdrawal, but not delete "
        "it.",
        about=(("Available to withdraw", customer.money(available)),) if available else (),
        danger=True,
        change=lambda form: -_amount(form),
    )
    return money_form.handle(
        customer,
        form_page,
        money.withdrawal(customer.currency, customer.has_card),
        lambda form: money_form.post(customer, "account/withdrawals", form.body(), form),
        values={"amount": available if available and Decimal(available) else ""},
    )


@blp.route("/payment/charge", methods=["GET", "POST"])
@needs("account.charge")
def charge(org: str) -> ResponseReturnValue:
    """Charge the account."""
    customer = money_form.load(org)
    form_page = FormPage(
        "Charge",
        "Charge account",
        lambda result: (
            f"Recorded with external invoice {result['external_invoice']}. No money was moved."
            if result["external_invoice"]
            else f"Charged {customer.money(result['amount'].lstrip('-'))}."
        ),
        change=lambda form: Decimal(0) if form.value("external_invoice") else -_amount(form),
    )
    return money_form.handle(
        customer,
        form_page,
        money.charge(customer.currency),
        lambda form: money_form.post(customer, "account/charges", form.body(), form),
    )


@blp.route("/payment/adjust", methods=["GET", "POST"])
@needs("account.adjust")
def adjust(org: str) -> ResponseReturnValue:
    """Adjust the balance."""
    customer = money_form.load(org)
    form_page = FormPage(
        "Adjust balance",
        "Adjust balance",
        lambda result: f"Adjusted by {customer.money(result['amount'])}.",
        lead="Write off small balances or correct errors. The credit limit does not apply.",
        change=_amount,
    )
    return money_form.handle(
        customer,
        form_page,
        money.adjustment(customer.currency),
        lambda form: money_form.post(customer, "account/adjustments", form.body(), form),
    )


@blp.route("/payment/refund/<transaction>", methods=["GET", "POST"])
@needs("account.refund")
def refund(org: str, transaction: str) -> ResponseReturnValue:
    """Refund a charge, in part or in full."""
    customer = money_form.load(org)
    charged = page.api().get(f"{customer.path}/account/transactions/{transaction}")
    form_page = FormPage(
        "Refund charge",
        "Refund",
        lambda result: f"Refunded {customer.money(result['amount'])}.",
        lead="The money goes back to the account. If the charge is on an invoice, a credit note is "
        "issued.",
        back="transactions.detail",
        where={"transaction": transaction},
        about=(
            ("Charge", charged["description"] or "–"),
            ("Amount", customer.money(charged["amount"].lstrip("-"))),
        ),
        change=lambda form: _amount(form) if form.value("amount") else None,
    )
    return money_form.handle(
        customer,
        form_page,
        money.part(customer.currency, "the full remaining amount"),
        lambda form: money_form.post(
            customer, "account/refunds", {"transaction_id": transaction, **form.body()}, form
        ),
    )


def _amount(form: Form) -> Decimal:
    return Decimal(form.amount("amount") or "0")
