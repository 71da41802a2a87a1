"""Forms: fields, submitted values, and the errors of the API."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from console.clients import Refusal
from console.values import amounts
from console.values.labels import retry_hint

_KEY_REUSED = (
    "This form was already submitted with different values, and that may have taken effect. "
    "Check before you submit it again."
)
AMOUNT_LENGTH = 24  # of an amount as it may be typed, with separators


@dataclass(frozen=True)
class Field:
    """One control. ``pointer``: where its value goes in the JSON body (RFC 6901), ``/name`` by
    default; ``kind``: text, email, password, money, number, date, select, radio, checkbox, textarea
    or hidden; ``options``: value and label; ``empty_error``: the error for an empty field, if not
    the default; ``currency``: of an amount, if it is known."""

    name: str
    label: str
    kind: str = "text"
    pointer: str = ""
    hint: str = ""
    required: bool = True
    options: Sequence[tuple[str, str]] = ()
    autocomplete: str = "off"
    max_length: int = 255
    empty_error: str = ""
    currency: str = ""

    @property
    def at(self) -> str:
        """Where the value goes in the body."""
        return self.pointer or f"/{self.name}"

    @property
    def missing(self) -> str:
        """The error for an empty field: ``Enter a reason.``, ``Select a country.``"""
        if self.empty_error:
            return self.empty_error
        label = self.label.partition(" (")[0]
        article = "an" if label[:1] in "AEIOU" else "a"
        verb = "Select" if self.options else "Enter"
        return f"{verb} {article} {label[:1].lower()}{label[1:]}."

    def display(self, value: str) -> str:
        """A value as people read it."""
        if self.kind == "checkbox":
            return "Yes" if value == "on" else "No"
        return dict(self.options).get(value, value)


@dataclass
class Form:
    """Fields with their values. ``key``: the Idempotency-Key of this submission; ``match``: the
    ETag of what was shown; ``note``: a line above the fields; ``summary``: errors, as (id of the
    field or empty, text); ``conflicts``: label, current value and entered value, if somebody else
    changed the resource meanwhile."""

    fields: Sequence[Field]
    values: dict[str, str] = field(default_factory=dict)
    key: str = field(default_factory=lambda: uuid4().hex)
    match: str = ""
    note: str = ""
    errors: dict[str, str] = field(default_factory=dict)
    summary: list[tuple[str, str]] = field(default_factory=list)
    refusal: Refusal | None = None
    conflicts: list[tuple[str, str, str]] = field(default_factory=list)

    def load(self, typed: Mapping[str, str]) -> None:
        """Take over submitted values. An absent checkbox is not ticked."""
        for control in self.fields:
            value = typed.get(control.name, "")
            self.values[control.name] = value if control.kind == "password" else value.strip()
        self.key, self.match = typed.get("key") or self.key, typed.get("match", "")

    def value(self, name: str) -> str:
        """The value of a field, empty if it has no value."""
        return self.values.get(name, "")

    def amount(self, name: str) -> str | None:
        """The amount in a field as the API takes it, None if the field is empty. Raises
        amounts.Unreadable."""
        control = next(each for each in self.fields if each.name == name)
        return amounts.read(value, self._currency(control)) if (value := self.value(name)) else None

    def check_amounts(self) -> None:
        """Add an error to each field whose amount or percentage cannot be read."""
        for control in self.fields:
            if control.kind == "money" and control.name not in self.errors:
                try:
                    self.amount(control.name)
                except amounts.Unreadable as problem:
                    self.add_error(control.name, control.empty_error or str(problem))

    def check_required(self) -> None:
        """Add an error to each required field that is empty."""
        for control in self.fields:
            if control.required and control.kind != "checkbox" and not self.value(control.name):
                self.add_error(control.name, control.missing)

    def display(self, control: Field, value: str) -> str:
        """A value of a field as people read it; an amount as it was typed if it cannot be read."""
        if control.kind == "money" and value:
            return amounts.shown(value, self._currency(control))
        return control.display(value)

    def body(self, *, empty: bool = False) -> dict[str, Any]:
        """The JSON body by the fields' pointers. Empty fields are omitted, or null if ``empty``."""
        made: dict[str, Any] = {}
        for control in self.fields:
            value = self._json(control)
            if value is not None or empty:
                _place(made, control.at.lstrip("/").split("/"), value)
        return made

    def draft(self) -> dict[str, str]:
        """The values that may be stored as a draft: all except passwords."""
        return {
            control.name: self.value(control.name)
            for control in self.fields
            if control.kind != "password"
        }

    def show_refusal(self, refusal: Refusal) -> None:
        """Show the errors of the API, next to the fields where possible. After a refusal the next
        submission gets a new key; if the API did not respond, or the first submission is still in
        progress, it keeps its key."""
        self.refusal = refusal
        by_pointer = {control.at: control for control in self.fields}
        for error in refusal.errors:
            control = by_pointer.get(error["pointer"])
            if control:
                self.add_error(control.name, _explained(control, self.value(control.name), error))
            else:
                self.summary.append(("", f"{error['pointer'].strip('/')}: {error['detail']}"))
        if not refusal.errors:
            words = _KEY_REUSED if refusal.code == "idempotency_key_reused" else refusal.detail
            self.summary.append(
                ("", words + (retry_hint(refusal.retry_after) if refusal.status == 429 else ""))
            )
        if refusal.status != 503 and refusal.code != "idempotency_key_in_progress":
            self.key = uuid4().hex

    def add_error(self, name: str, words: str) -> None:
        """Add an error to a field."""
        self.errors[name] = words
        control = next(each for each in self.fields if each.name == name)
        named = words.startswith(("Enter ", "Select "))
        self.summary.append((f"field-{name}", words if named else f"{control.label}: {words}"))

    def show_conflict(self, values: Mapping[str, str], match: str) -> None:
        """Somebody else changed the resource meanwhile: show its current values next to the entered
        ones. The next submission is based on the current values."""
        self.match, self.errors = match, {}
        self.summary = [
            (
                "",
                "Someone else changed this while you were editing. Compare the values, then save "
                "again or discard your changes.",
            )
        ]
        compared = [
            (
                control.label,
                self.display(control, values.get(control.name, "")),
                self.display(control, self.value(control.name)),
            )
            for control in self.fields
        ]
        self.conflicts = [(label, now, typed) for label, now, typed in compared if now != typed]

    def _json(self, control: Field) -> Any:
        value = self.value(control.name)
        if control.kind == "checkbox":
            return value == "on"
        if not value:
            return None
        if control.kind == "number":
            return whole_number(value)
        return amounts.read(value, self._currency(control)) if control.kind == "money" else value

    def _currency(self, control: Field) -> str:
        """Of an amount; empty if it has none, or none has been chosen."""
        return control.currency or self.value("currency")


def whole_number(typed: str) -> int | str:
    """A whole number as an integer; anything else unchanged, for the API to refuse."""
    return int(typed) if re.fullmatch(r"-?[0-9]{1,9}", typed) else typed


def _explained(control: Field, value: str, error: Mapping[str, str]) -> str:
    """The text for an error of the API about a field."""
    is_empty = control.required and not value and control.kind != "checkbox"
    if error.get("code") == "required" or is_empty:
        return control.missing
    return error["detail"]


def _place(made: dict[str, Any], path: list[str], value: Any) -> None:
    *inside, last = path
    for part in inside:
        made = made.setdefault(part, {})
    made[last] = value
