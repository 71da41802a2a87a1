"""How an account's figures are calculated, as formulas with the account's own numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from console.values.amounts import decimals, money
from console.values.days import count, day_of
from console.values.labels import sign

_MINUS = "\N{MINUS SIGN}"
UNBILLED: Mapping[str, str] = {
    "individual": "Usage only: calls, messages and activation fees. Everything else is invoiced "
    "immediately.",
    "consolidated": "All charges since the last invoice. One monthly invoice covers them all.",
    "none": "All charges since the start of the month. No invoices are sent. The total resets when "
    "the month ends.",
}
"""The provider's invoicing -> what is unbilled."""


@dataclass(frozen=True)
class Formula:
    """``rule``: the formula in words; ``numbers``: with the numbers of this account."""

    rule: str
    numbers: str


def formulas(account: Mapping[str, Any]) -> list[Formula]:
    """How the account's figures add up."""
    return _prepaid(account) if account["payment_mode"] == "prepaid" else _postpaid(account)


def limit_term(account: Mapping[str, Any]) -> str:
    """Whether the credit limit ends; empty if there is none."""
    if account["credit_limit_expires_at"]:
        return "temporary"
    return "permanent" if sign(account["credit_limit"]) else ""


def limit_used(account: Mapping[str, Any]) -> str | None:
    """How much of its credit limit a prepaid customer is using; None if nothing."""
    used = Decimal(account["credit_limit"]) - Decimal(account["usable_credits"])
    is_using_limit = account["payment_mode"] == "prepaid" and used > 0
    return plain(used, account["currency"]) if is_using_limit else None


def still_held(reservation: Mapping[str, Any], currency: str) -> str:
    """What a reservation holds: its amount less what was captured and released."""
    amount, *gone = (Decimal(reservation[name]) for name in ("amount", "captured", "released"))
    return plain(amount - sum(gone), currency)


def withdrawable(account: Mapping[str, Any]) -> str:
    """What can be withdrawn, as far as the figures tell: the balance, or the overpayment."""
    available = account["balance" if account["payment_mode"] == "prepaid" else "amount_due"]
    return plain(max(Decimal(0), Decimal(available)), account["currency"])


def total_due(account: Mapping[str, Any]) -> str:
    """The unpaid amount of all invoices, without a sign; empty if nothing is due."""
    due = Decimal(account["amount_due"])
    return plain(-due, account["currency"]) if due < 0 else ""


def after(account: Mapping[str, Any], change: Decimal) -> list[tuple[str, str, str]]:
    """The figures that a change of the balance moves: label, amount now, amount afterwards."""
    figures = [("Balance", "balance"), ("Usable credits", "usable_credits")]
    if account["payment_mode"] == "postpaid":
        figures = [("Current balance", "current_balance")]
    return [
        (label, account[name], plain(Decimal(account[name]) + change, account["currency"]))
        for label, name in figures
    ]


def share(amount: str, percent: int, currency: str) -> str:
    """A percentage of an amount."""
    return plain(Decimal(amount) * percent / 100, currency)


def to_empty(figures: Mapping[str, Any]) -> str:
    """How long the usable credits last at the current pace, from an account or a summary."""
    days = figures["days_to_empty"]
    if days is None:
        return "–"
    if sign(figures["usable_credits"]) <= 0:
        return "Used up"
    return count(days) if days else "Less than a day"


def empty_on(account: Mapping[str, Any], zone: str) -> date | None:
    """The day on which credits run out at the current pace; None if unknown."""
    days = account["days_to_empty"]
    if days is None:
        return None
    return day_of(account["as_of"], zone) + timedelta(days=days)


def plain(value: Decimal, currency: str) -> str:
    """An amount as the API writes it: at least the currency's decimals, no more than needed."""
    whole, _, part = f"{value.normalize():f}".partition(".")
    part = part.ljust(decimals(currency), "0")
    return f"{whole}.{part}" if part else whole


def _prepaid(account: Mapping[str, Any]) -> list[Formula]:
    usable, limit, reserved = (
        account[name] for name in ("usable_credits", "credit_limit", "reserved_credits")
    )
    formulas = [
        Formula(
            f"Balance = usable {_MINUS} limit",
            f"{money(account['balance'])} = {_term(usable)} {_MINUS} {_term(limit)}",
        )
    ]
    if Decimal(reserved):
        wallet = plain(Decimal(account["balance"]) + Decimal(reserved), account["currency"])
        formulas.append(
            Formula(
                f"Usable = wallet {_MINUS} reserved + limit",
                f"{money(usable)} = {_term(wallet)} {_MINUS} {_term(reserved)} + {_term(limit)}",
            )
        )
    return formulas


def _postpaid(account: Mapping[str, Any]) -> list[Formula]:
    expecting, due = account["expecting_invoice"], account["amount_due"]
    overpaid = plain(max(Decimal(0), Decimal(due)), account["currency"])
    return [
        Formula(
            "Current balance = expecting invoice + amount due",
            f"{money(account['current_balance'])} = {_term(expecting)} + {_term(due)}",
        ),
        Formula(
            f"Usable = limit + overpaid + expecting invoice {_MINUS} reserved",
            f"{money(account['usable_credits'])} = {_term(account['credit_limit'])} + "
            f"{_term(overpaid)} + {_term(expecting)} {_MINUS} {_term(account['reserved_credits'])}",
        ),
    ]


def _term(amount: str) -> str:
    """An amount within a sum: in parentheses if negative."""
    return f"({money(amount)})" if amount.startswith("-") else money(amount)
