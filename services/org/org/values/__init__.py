"""Plain values: statuses and what each allows, names, amounts, rows of the audit."""

import json
import re
import unicodedata
from datetime import timedelta
from decimal import Decimal
from functools import cache
from itertools import accumulate
from typing import Any
from zoneinfo import available_timezones

import iso4217
from chassis.audit import REMOVED_PERSON
from chassis.auth import masking

PROVISIONING = "provisioning"
ACTIVE = "active"
SUSPENDED = "suspended"
CLOSING = "closing"
SUSPENDED_FOR_DELETION = "suspended_for_deletion"
DELETED = "deleted"
ADDRESS_RETENTION = timedelta(days=90)
SUPPORT = "support"  # a kind of actor, and the only name of it that a customer sees

# What staff may do to an organization in each status. ``same``: 200 and nothing changes; ``start``:
# a deletion begins; ``existing``: the deletion there is; ``restore``: a reactivation begins.
_ACTIONS = ("edit", "suspend", "activate", "delete")
_ROWS = {
    PROVISIONING:           ("409", "409",  "409",     "409"),
    ACTIVE:                 ("yes", "yes",  "same",    "start"),
    SUSPENDED:              ("yes", "same", "restore", "start"),
    CLOSING:                ("409", "409",  "409",     "existing"),
    SUSPENDED_FOR_DELETION: ("409", "409",  "restore", "existing"),
    DELETED:                ("410", "410",  "410",     "existing"),
}  # fmt: skip
STATES = {status: dict(zip(_ACTIONS, row, strict=True)) for status, row in _ROWS.items()}

NEVER_EMPTY = 2**31 - 1

_NAME_SIGNS = frozenset("\u200c\u200d~`#+$@&()[]<>⟨⟩\\/-_='\".:!?;^%*{} ‘’“”")
_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?", re.ASCII)


def is_name(text: str) -> bool:
    """Whether every character is a letter or digit of any script, a mark on one, a joiner, or one
    of the listed signs."""
    return all(_is_name_character(character) for character in text)


def _is_name_character(character: str) -> bool:
    category = unicodedata.category(character)
    return character in _NAME_SIGNS or category[0] in "LN" or category in ("Mn", "Mc")


@cache
def currencies() -> frozenset[str]:
    """The codes of ISO 4217 for which a number of decimals is defined."""
    return frozenset(
        currency.code for currency in iso4217.Currency if currency.exponent is not None
    )


@cache
def timezones() -> frozenset[str]:
    """The names of the tz database that name a place, and UTC."""
    return frozenset(name for name in available_timezones() if "/" in name or name == "UTC")


def is_amount(text: str) -> bool:
    """Whether the text is an unsigned amount of the contract: at most 12 digits before and 6 after
    the point."""
    return _AMOUNT.fullmatch(text) is not None


def micro_units(amount: str) -> int:
    """A decimal string as an integer of 10⁻⁶, for sorting."""
    return int(Decimal(amount).scaleb(6))


@cache
def zero(currency: str) -> str:
    """No money, with the decimals of the currency."""
    return f"{0:.{iso4217.Currency(currency).exponent}f}"


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[dict[str, Any]]:
    """The values that differ, as the audit records changes: [{field, before, after}]."""
    return [
        {"field": name, "before": before[name], "after": value}
        for name, value in after.items()
        if before[name] != value
    ]


def first_that_fit(
    rows: list[dict[str, Any]], *, max_rows: int, max_characters: int
) -> list[dict[str, Any]]:
    """The first rows, as many as are allowed and as fit into ``max_characters`` of JSON."""
    sizes = accumulate(len(json.dumps(row)) for row in rows[:max_rows])
    return [row for row, total in zip(rows, sizes, strict=False) if total <= max_characters]


def is_own(actor: dict[str, Any], caller_organization_id: str | None, organization_id: str) -> bool:
    """Whether an entry of an organization's audit is about something done by its own members or API
    keys, not by its provider's."""
    if actor.get("kind") == "api_key":
        return caller_organization_id == organization_id
    return bool(actor.get("kind") == "member")


_SHOWN_TO_CUSTOMERS = (SUPPORT, REMOVED_PERSON.casefold())


def as_customers_see(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the audit without the names and ids of the provider's staff who gave support,
    wherever they occur in it."""
    actor = row["actor"]
    if actor.get("kind") != SUPPORT:
        return row
    acting, label = actor.get("acting") or {}, SUPPORT.capitalize()
    hidden = [acting.get(part) for part in ("name", "email", "sub", "sid")]
    if acting.get("mode") == "login_as":
        label += f" acting as {actor.get('label')}"
    else:
        hidden += [actor.get("label"), actor.get("id")]
    names = [name for name in hidden if name and name.casefold() not in _SHOWN_TO_CUSTOMERS]
    masked = {
        part: masking.without_names(row[part], names, instead=SUPPORT.capitalize())
        for part in ("target", "changes", "reason")
    }
    return {**row, **masked, "actor": {"kind": SUPPORT, "id": SUPPORT, "label": label}}
