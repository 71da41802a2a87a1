"""The content of an invoice's PDF, exactly as it is printed.

Every sum and date is made here, in whole millionths; the template only places them. It receives
them as data, so that no customer's text is read as markup, and it uses only the fonts in this
folder, so that the same invoice has the same bytes on every machine.
"""

from datetime import UTC, date, datetime
from itertools import accumulate
from typing import Any
from zoneinfo import ZoneInfo

from billing.values import NONE, format_money
from billing.views.pdf.text import (
    AmountColumn,
    clean,
    country_name,
    group_digits,
    long_date,
    millionths,
    period_text,
    short_date,
    shorten,
)

_TOTALS = ("total", "tax", "net", "paid", "credited", "written_off")
_KINDS = {"one_off": "One-off charge", "capture": "Usage"}
# Chinese characters look different by country: the language whose forms are used. Others: Chinese.
_FORMS = {"JP": ("ja", "JP"), "TW": ("zh", "TW"), "HK": ("zh", "TW"), "MO": ("zh", "TW")}


def invoice_layout(document: dict[str, Any]) -> dict[str, Any]:
    """Everything that is printed, for the template."""
    lines, notes = document["lines"], document["credit_notes"]
    totals = [document[name] for name in _TOTALS]
    amounts = [*totals, *(line["amount"] for line in lines), *(note["amount"] for note in notes)]
    column = AmountColumn(document["currency"], amounts)
    running_totals = [0, *accumulate(millionths(line["amount"]) for line in lines)]
    title = "Statement" if document["kind"] == NONE else "Invoice"
    seller_name = shorten(document["seller"]["name"])
    return {
        "stamped_at": _timestamp(document["issued_on"]),
        "title": title,
        "number": document["number"],
        "currency": document["currency"],
        "forms": _FORMS.get(document["buyer"]["country"], ("zh", "CN")),
        "seller": _party(document["seller"]),
        "buyer": _party(document["buyer"]),
        "footer": f"{title} {document['number']}  ·  {seller_name}",
        "facts": _facts(document),
        "due": _amount_due(document),
        "stamp": _stamp(document),
        "lines": _lines(document, column),
        "sums": [column.from_millionths(total) for total in running_totals],
        "summary": _summary(document, column),
        "notes": _notes(document, column),
    }


def _timestamp(issued_on: str) -> int:
    day = date.fromisoformat(issued_on)
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _lines(document: dict[str, Any], column: AmountColumn) -> list[list[str]]:
    zone = ZoneInfo(document["timezone"])
    return [
        [
            short_date(line["occurred_at"], zone),
            clean(line["description"]) or _kind_label(line["kind"]),
            column.show(line["amount"]),
        ]
        for line in document["lines"]
    ]


def _notes(document: dict[str, Any], column: AmountColumn) -> list[list[str]]:
    zone = ZoneInfo(document["timezone"])
    return [
        [
            short_date(note["issued_at"], zone),
            note["number"],
            clean(note["reason"]),
            column.show(f"-{note['amount']}"),
        ]
        for note in document["credit_notes"]
    ]


def _facts(document: dict[str, Any]) -> list[list[str]]:
    period = document["period"]
    facts = [
        ["Issued", long_date(document["issued_on"])],
        ["Due", long_date(document["due_on"])],
        ["Period", period_text(period["from"], period["to"])],
    ]
    for name, value in document["buyer"]["buyer_tags"].items():
        if value:
            facts.append([name, clean(value)])
    return facts


def _amount_due(document: dict[str, Any]) -> dict[str, str]:
    """The most prominent figure, and when it is due."""
    label, by = "", ""
    if document["status"] == "void":
        by = "Void: no payment due"
    elif document["status"] == "paid":
        by = _how_settled(document)
    else:
        label, by = "Due by", long_date(document["due_on"])
    amount = f"{document['currency']} {group_digits(document['open'])}"
    return {"amount": amount, "label": label, "by": by}


def _settlement(document: dict[str, Any]) -> list[tuple[str, int]]:
    """What has settled the invoice so far, in millionths. What credits of the provider's paid is
    credited: it was no money."""
    written_off, by_credits = (
        millionths(document[name]) for name in ("written_off", "paid_by_credits")
    )
    settled = [
        ("Paid", millionths(document["paid"]) - by_credits),
        ("Credited", millionths(document["credited"]) - written_off + by_credits),
        ("Written off", written_off),
    ]
    return [(label, amount) for label, amount in settled if amount]


def _stamp(document: dict[str, Any]) -> str:
    if document["status"] == "void":
        return "Void"
    if document["status"] != "paid":
        return ""
    labels = [label for label, _ in _settlement(document)]
    return labels[0] if len(labels) == 1 else "Settled"


def _how_settled(document: dict[str, Any]) -> str:
    """Thanks only for what was paid in full with money."""
    settled = _settlement(document)
    if [label for label, _ in settled] == ["Paid"]:
        return "Paid in full. Thank you."
    currency = document["currency"]
    return "\u00a0· ".join(
        f"{label} {group_digits(format_money(amount, currency))}" for label, amount in settled
    )


def _summary(document: dict[str, Any], column: AmountColumn) -> list[list[str]]:
    """Label, amount and weight of each figure below the lines."""
    figures = [["Total", column.show(document["total"]), "total"]]
    if document["tax_breakdown"]:
        figures.append(["Net", column.show(document["net"]), "part"])
    for tax in document["tax_breakdown"]:
        rate = tax["rate"]
        if "." in rate:
            rate = rate.rstrip("0").rstrip(".")
        tax_label = f"{clean(tax['name'])} {rate}%, included"
        figures.append([tax_label, column.show(tax["tax"]), "part"])
    for label, amount in _settlement(document):
        figures.append([label, column.from_millionths(-amount), "plain"])
    return [*figures, ["Balance due", column.show(document["open"]), "last"]]


def _party(party: dict[str, Any]) -> dict[str, Any]:
    """The billing name, and below it the organization's name if it differs, and the address."""
    billing = party.get("billing") or {}
    name = billing.get("name") or party["name"]
    address = [*(billing.get("address") or "").splitlines(), billing.get("city") or ""]
    country = country_name(party["country"])
    if any(line.endswith(country) for line in address):
        country = ""
    organization_name = party["name"] if name != party["name"] else ""
    below = [organization_name, *address, country, billing.get("email") or ""]
    return {"name": clean(name), "below": [clean(line) for line in below if line.strip()]}


def _kind_label(kind: str) -> str:
    return _KINDS.get(kind, kind.replace("_", " ").capitalize())
