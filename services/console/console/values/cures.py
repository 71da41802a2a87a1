"""What helps where the API refuses to move money: in words, and where to do it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from console.values.words import money


@dataclass(frozen=True)
class Way:
    """``words``: what would help; ``endpoint``, ``label`` and ``query``: where, if that is a page of ours."""

    words: str
    endpoint: str = ""
    label: str = ""
    query: Mapping[str, str] = field(default_factory=dict)


def ways(problem: Mapping[str, Any], currency: str) -> list[Way]:
    """The ways on from a refusal."""
    found = _WAYS.get(str(problem.get("code")))
    return found(problem, currency) if found else []


def _insufficient(problem: Mapping[str, Any], currency: str) -> list[Way]:
    found = []
    if (most := problem.get("withdrawable")) is not None:
        found.append(Way(f"At most {money(most, currency)} may be withdrawn."))
    elif "shortfall" in problem:
        found.append(
            Way(
                f"{money(problem['shortfall'], currency)} are missing: "
                f"{money(problem['usable'], currency)} are usable."
            )
        )
    cure = problem.get("cure", {})
    if top_up := cure.get("top_up"):
        found.append(
            Way(
                f"A top-up of {money(top_up, currency)} would cover it.",
                "payment.top_up",
                "Top up",
                {"amount": top_up},
            )
        )
    if limit := cure.get("credit_limit"):
        found.append(
            Way(
                f"So would a credit limit of {money(limit, currency)}.",
                "payment.limit",
                "Set the limit",
                {"credit_limit": limit},
            )
        )
    if problem.get("reservations"):
        found.append(
            Way(
                "Reservations hold back what is missing. Release what is stuck, or wait until they end.",
                "payment.show",
                "See the reservations",
                {"_anchor": "reservations"},
            )
        )
    return found


def _provider(problem: Mapping[str, Any], currency: str) -> list[Way]:
    return [
        Way(
            f"You have {money(problem.get('usable'), currency)} to issue; "
            f"{money(problem.get('shortfall'), currency)} are missing. Issue less, or use another method."
        )
    ]


def _open_amounts(problem: Mapping[str, Any], currency: str) -> list[Way]:
    return [
        Way(
            f"Unbilled: {money(problem.get('unbilled'), currency)}. Issue an invoice for it.",
            "invoices.issue",
            "Issue an invoice",
        ),
        Way(
            f"Asked for by invoices: {money(problem.get('due'), currency)}. Record its payment.",
            "invoices.pay",
            "Record a payment",
        ),
    ]


def _left(problem: Mapping[str, Any], currency: str) -> list[Way]:
    return [Way(f"{money(problem.get('left'), currency)} are left.")]


def _to(words: str, endpoint: str, label: str) -> Callable[[Mapping[str, Any], str], list[Way]]:
    return lambda _problem, _currency: [Way(words, endpoint, label)]


_WAYS: Mapping[str, Callable[[Mapping[str, Any], str], list[Way]]] = {
    "insufficient_credits": _insufficient,
    "provider_credits_insufficient": _provider,
    "open_amounts": _open_amounts,
    "refund_exceeds_charge": _left,
    "credit_exceeds_invoice": _left,
    "account_frozen": _to(
        "Activate the organization, then charge it.", "settings.show", "Settings"
    ),
    "account_closed": _to(
        "Activate the organization, then try again.", "settings.show", "Settings"
    ),
    "credit_limit_required": _to("Give it a limit first.", "payment.limit", "Set the limit"),
    "account_prepaid": _to("Money for a prepaid account is a top-up.", "payment.top_up", "Top up"),
    "payment_method_missing": _to("Choose another method.", "", ""),
    "nothing_to_invoice": _to("See what was charged.", "transactions.show", "Transactions"),
    "invoice_settled": _to(
        "Assign its payment to another invoice first.", "invoices.payments", "Payments"
    ),
    "payment_edits_exhausted": _to(
        "Reverse it from its transaction.", "invoices.payments", "Payments"
    ),
}
