"""An invoice as a PDF: what its sheet says, word for word, and how it is set.

Every sum and every date is made here, in whole millionths; the template only places them. It gets
them as data, so that nothing a customer is called can be taken for markup, and it knows no font but
those that lie beside it: the same invoice has the same bytes on every machine.
"""

import json
import re
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_interval
from chassis.errors import Unavailable

from billing.values import NONE, format_money, parse_money

_PRESS = Path(__file__).with_name("renderer.py")
# A sheet of 5,000 lines takes three seconds and 600 MB, so a process sets one at a time. A few may
# wait for it, not all the threads that others need; the gateway waits as long as we do.
_PRESS_FREE, _SEATS, _SECONDS = threading.Lock(), threading.BoundedSemaphore(3), 30
# The child needs nothing that we know, and no thread for every core.
_ENVIRONMENT = {"RAYON_NUM_THREADS": "2"}
_ENGLISH = Locale("en", "GB")
_KINDS = {"one_off": "One-off charge", "capture": "Usage"}
_FIGURE_SPACE, _POINT_SPACE, _MINUS, _BREAK_HERE = "\u2007", "\u2008", "\u2212", "\u200b"
# Control characters, halves of characters, separators of lines.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
# What turns the direction of the text that follows it; an isolate of its own around each text keeps
# it inside.
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
# Words that may be too long for a line; Chinese, Japanese and Korean break anywhere by themselves.
_LONG_WORD = re.compile(
    "[^\\s\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]{25,}"
)
# Thai and Lao vowels that are written before and after their consonant.
_BEFORE, _AFTER = "เแโใไເແໂໃໄ\u200d", "ะาำๅๆຯະາຳໆ\u200d"
# Chinese characters look different from place to place: the language whose forms are used, Chinese
# otherwise.
_FORMS = {"JP": ("ja", "JP"), "TW": ("zh", "TW"), "HK": ("zh", "TW"), "MO": ("zh", "TW")}


class Printing(Unavailable):
    code = "service_unavailable"
    detail = "Too many invoices are being rendered. Try again in a moment."


def render(document: dict[str, Any]) -> bytes:
    """The PDF of an invoice as ``queries.invoice_document`` tells it; dated when it was issued.
    Raises Printing."""
    if not _SEATS.acquire(blocking=False):
        raise Printing(retry_after=2)
    try:
        return _press(json.dumps(sheet(document)).encode())
    finally:
        _SEATS.release()


def _press(sheet: bytes) -> bytes:
    with _PRESS_FREE:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-I", str(_PRESS)],
            input=sheet,
            capture_output=True,
            env=_ENVIRONMENT,
            timeout=_SECONDS,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    return done.stdout


def sheet(document: dict[str, Any]) -> dict[str, Any]:
    """Everything that is to be read on the sheet, as it is to be read."""
    currency, zone = document["currency"], ZoneInfo(document["timezone"])
    lines = [*document["lines"]]
    sums = [0, *accumulate(_millionths(line["amount"]) for line in lines)]
    notes = document["credit_notes"]
    money = _Money(
        currency,
        [
            document["total"],
            document["tax"],
            document["net"],
            *(x["amount"] for x in lines),
            *(x["amount"] for x in notes),
        ],
    )
    issued = date.fromisoformat(document["issued_on"])
    title = "Statement" if document["kind"] == NONE else "Invoice"
    country = document["buyer"]["country"]
    return {
        "stamped_at": int(datetime(issued.year, issued.month, issued.day, tzinfo=UTC).timestamp()),
        "title": title,
        "number": document["number"],
        "currency": currency,
        "forms": _FORMS.get(country, ("zh", "CN")),
        "seller": _party(document["seller"]),
        "buyer": _party(document["buyer"]),
        "footer": f"{title} {document['number']}  ·  {_shortened(document['seller']['name'])}",
        "facts": _facts(document),
        "asked": _asked(document),
        "stamp": {"paid": "Paid", "void": "Void"}.get(document["status"], ""),
        "lines": [
            [
                _day_of(line["occurred_at"], zone),
                _text(line["description"]) or _kind(line["kind"]),
                money.shown(line["amount"]),
            ]
            for line in lines
        ],
        "sums": [money.of(amount) for amount in sums],
        "summary": _summary(document, money),
        "notes": [
            [
                _day_of(x["issued_at"], zone),
                x["number"],
                _text(x["reason"]),
                money.shown(f"-{x['amount']}"),
            ]
            for x in notes
        ],
    }


def _facts(document: dict[str, Any]) -> list[list[str]]:
    begin, end = (date.fromisoformat(document["period"][side]) for side in ("from", "to"))
    period = _day(begin) if begin == end else format_interval(begin, end, "yMMMMd", locale=_ENGLISH)
    facts = [
        ["Issued", _day(document["issued_on"])],
        ["Due", _day(document["due_on"])],
        ["Period", period],
    ]
    return facts + [
        [name, _text(value)] for name, value in document["buyer"]["buyer_tags"].items() if value
    ]


def _asked(document: dict[str, Any]) -> dict[str, str]:
    """The figure that is read first, and what is to be done about it."""
    label, by = {
        "void": ("", "Void: nothing is to be paid"),
        "paid": ("", "Settled, with thanks"),
    }.get(document["status"], ("Due by", _day(document["due_on"])))
    return {
        "amount": f"{document['currency']} {_grouped(document['open'])}",
        "label": label,
        "by": by,
    }


def _summary(document: dict[str, Any], money: "_Money") -> list[list[str]]:
    """Label, amount and weight of each figure under the lines."""
    figures = [["Total", money.shown(document["total"]), "total"]]
    if document["tax_name"]:
        rate = (
            document["tax_rate"].rstrip("0").rstrip(".")
            if "." in document["tax_rate"]
            else document["tax_rate"]
        )
        figures += [
            ["Net", money.shown(document["net"]), "part"],
            [
                f"{_text(document['tax_name'])} {rate}%, included",
                money.shown(document["tax"]),
                "part",
            ],
        ]
    for label, name in (("Paid", "paid"), ("Credited", "credited")):
        if _millionths(document[name]):
            figures.append([label, money.shown(f"-{document[name]}"), "plain"])
    return [*figures, ["Amount due", money.shown(document["open"]), "last"]]


def _party(party: dict[str, Any]) -> dict[str, Any]:
    """A name, and the lines below it: the organization's own name where it is another one, then
    where it is."""
    billing = party.get("billing") or {}
    name = billing.get("name") or party["name"]
    address = [*(billing.get("address") or "").splitlines(), billing.get("city") or ""]
    country = _country(party["country"])
    if any(line.endswith(country) for line in address):
        country = ""
    below = [
        party["name"] if name != party["name"] else "",
        *address,
        country,
        billing.get("email") or "",
    ]
    return {"name": _text(name), "below": [_text(line) for line in below if line.strip()]}


def _country(code: str | None) -> str:
    return str(_ENGLISH.territories.get(code, code)) if code else ""


def _kind(kind: str) -> str:
    return _KINDS.get(kind, kind.replace("_", " ").capitalize())


def _day(day: date | str) -> str:
    return format_date(
        date.fromisoformat(day) if isinstance(day, str) else day, "d MMMM y", locale=_ENGLISH
    )


def _day_of(moment: str, zone: ZoneInfo) -> str:
    day = (
        datetime.fromisoformat(moment).astimezone(zone).date()
        if "T" in moment
        else date.fromisoformat(moment)
    )
    return _short_day(day)


@cache
def _short_day(day: date) -> str:
    return format_date(day, "d MMM y", locale=_ENGLISH)


class _Money:
    """Amounts of one sheet, whose points stand below each other: figure spaces fill what some have
    less behind it."""

    def __init__(self, currency: str, amounts: Iterable[str]) -> None:
        self.currency = currency
        self.places = max(len(amount.partition(".")[2]) for amount in amounts)

    def of(self, amount: int) -> str:
        return self.shown(format_money(amount, self.currency))

    def shown(self, amount: str) -> str:
        behind = len(amount.partition(".")[2])
        point = _POINT_SPACE if not behind and self.places else ""
        return _grouped(amount) + point + _FIGURE_SPACE * (self.places - behind)


def _grouped(amount: str) -> str:
    whole, point, part = amount.lstrip("-").partition(".")
    return f"{_MINUS if amount.startswith('-') else ''}{int(whole):,}{point}{part}"


def _millionths(amount: str) -> int:
    return parse_money(amount, signed=True, zero=True)


def _text(text: str | None) -> str:
    """A customer's words on one line of ours: no control characters, long words may break, and what
    runs from right to left does so by itself."""
    plain = _TURNING.sub("", _UNSEEN.sub(" ", text or "")).strip()
    plain = _LONG_WORD.sub(lambda found: _BREAK_HERE.join(_pieces(found[0])), plain)
    turns = any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in plain)
    return f"\u2068{plain}\u2069" if turns else plain


def _pieces(word: str) -> Iterator[str]:
    """A word in pieces of eight characters or a few more: what is written as one stays together."""
    start = 0
    for end in range(1, len(word)):
        if end - start >= 8 and _parts(word[end - 1], word[end]):
            yield word[start:end]
            start = end
    yield word[start:]


def _parts(left: str, right: str) -> bool:
    joined = unicodedata.combining(left) == 9 or unicodedata.category(right).startswith("M")
    return not joined and left not in _BEFORE and right not in _AFTER


def _shortened(text: str) -> str:
    return _text(text if len(text) <= 60 else f"{text[:59].rstrip()}…")
