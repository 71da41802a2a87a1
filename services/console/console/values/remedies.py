"""Remedies: what to do when the API refuses to move money, and on which page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from console.values.amounts import money


@dataclass(frozen=True)
class Remedy:
    """``text``: what to do; ``endpoint``, ``label``, ``query``: the page for it, if any."""

    text: str
    endpoint: str = ""
    label: str = ""
    query: Mapping[str, str] = field(default_factory=dict)


def find(problem: Mapping[str, Any], currency: str) -> list[Remedy]:
    """The remedies for a refusal, given its problem document."""
    remedies = _REMEDIES.get(str(problem.get("code")))
    return remedies(problem, currency) if remedies else []


def _insufficient(problem: Mapping[str, Any], currency: str) -> list[Remedy]:
    remedies = _what_there_is(problem, currency)
    cure = problem.get("cure", {})
    if top_up := cure.get("top_up"):
        remedies.append(
            Remedy(
                f"Top up {money(top_up, currency)} to cover it.",
                "payment.top_up",
                "Top up",
                {"amount": top_up},
            )
        )
    if limit := cure.get("credit_limit"):
        remedies.append(
            Remedy(
                f"Or set a credit limit of {money(limit, currency)}.",
                "payment.limit",
                "Set limit",
                {"credit_limit": limit},
            )
        )
    if problem.get("reservations"):
        remedies.append(
            Remedy(
                "Reservations are holding the missing amount. Release them, or wait until they "
                "expire.",
                "payment.show",
                "View reservations",
                {"_anchor": "reservations"},
            )
        )
    return remedies


def _what_there_is(problem: Mapping[str, Any], currency: str) -> list[Remedy]:
    if "withdrawable" in problem:
        return [Remedy(f"You can withdraw up to {money(problem['withdrawable'], currency)}.")]
    if "credit" in problem:
        return [Remedy(f"The credit is {money(problem['credit'], currency)}.")]
    if "shortfall" in problem:
        short = money(problem["shortfall"], currency)
        usable = money(problem["usable"], currency)
        return [Remedy(f"{short} short: only {usable} is usable.")]
    return []


def _provider(problem: Mapping[str, Any], currency: str) -> list[Remedy]:
    return [
        Remedy(
            f"Your own usable credits are {money(problem.get('usable'), currency)}, "
            f"{money(problem.get('shortfall'), currency)} short. "
            "Enter a smaller amount or use another method."
        )
    ]


def _open_amounts(problem: Mapping[str, Any], currency: str) -> list[Remedy]:
    return [
        Remedy(
            f"Unbilled: {money(problem.get('unbilled'), currency)}. Issue an invoice first.",
            "invoices.issue",
            "Issue invoice",
        ),
        Remedy(
            f"Unpaid invoices: {money(problem.get('due'), currency)}. Record a payment first.",
            "invoices.pay",
            "Record payment",
        ),
    ]


def _left(problem: Mapping[str, Any], currency: str) -> list[Remedy]:
    return [Remedy(f"Remaining: {money(problem.get('left'), currency)}.")]


def _debt(problem: Mapping[str, Any], currency: str) -> list[Remedy]:
    return [Remedy(f"The customer owes {money(problem.get('debt'), currency)}.")]


def _page(text: str, endpoint: str, label: str) -> Callable[[Mapping[str, Any], str], list[Remedy]]:
    return lambda _problem, _currency: [Remedy(text, endpoint, label)]


_REMEDIES: Mapping[str, Callable[[Mapping[str, Any], str], list[Remedy]]] = {
    "insufficient_credits": _insufficient,
    "provider_credits_insufficient": _provider,
    "open_amounts": _open_amounts,
    "refund_exceeds_charge": _left,
    "credit_exceeds_invoice": _left,
    "account_frozen": _page(
        "Activate the organization, then try again.", "settings.show", "Settings"
    ),
    "account_closed": _page(
        "Activate the organization, then try again.", "settings.show", "Settings"
    ),
    "credit_limit_required": _page("Set a credit limit first.", "payment.limit", "Set limit"),
    "prepaid_only": _page("Switch it to prepaid first.", "payment.mode", "Change payment mode"),
    "refund_not_allowed": _page("Ask an owner to switch refunds on.", "", ""),
    "write_off_exceeds_debt": _debt,
    "postpaid_only": _page("Prepaid accounts don't have invoices.", "", ""),
    "account_prepaid": _page(
        "Prepaid accounts don't have invoices. Record the money as a top-up.",
        "payment.top_up",
        "Top up",
    ),
    "payment_method_missing": _page("Select another method.", "", ""),
    "nothing_to_invoice": _page(
        "Check the charges in the transactions.", "transactions.show", "Transactions"
    ),
    "invoice_settled": _page(
        "Reassign its payment to another invoice first.", "invoices.payments", "Payments"
    ),
    "payment_edits_exhausted": _page(
        "Reverse the payment from its transaction instead.", "invoices.payments", "Payments"
    ),
}
