"""For each kind of field, values that are invalid."""

from collections.abc import Callable, Iterator
from typing import Any

import marshmallow as ma
from billing.schemas.fields import Day, Money
from billing.schemas.usage import MAX_RECORDS, Records
from chassis.http.fields import Stamp, Text, TypeId
from chassis.runtime import ids

from tests.billing.bad_input.samples import RECORD
from tests.billing.test_values import BAD


def fields_of(
    schema: ma.Schema | None, body: dict[str, Any], at: str = ""
) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Each field, its location, and the part of the body that contains it."""
    fields = schema.load_fields if schema else {}
    assert {field.data_key or name for name, field in fields.items()} == body.keys(), at
    for name, field in fields.items():
        key = field.data_key or name
        if isinstance(field, ma.fields.Nested):
            yield from fields_of(field.schema, body[key], f"{at}/{key}")
        yield f"{at}/{key}", field, body


NO_TEXT = [1, 1.5, True, [], {}, ["x"]]


def wrong(field: Any) -> list[Any]:
    """Invalid values for a field of this kind; none, which fails, for an unknown kind."""
    values = next((make(field) for kind, make in WRONG if isinstance(field, kind)), [])
    return values if field.allow_none or not values else [*values, None]


def wrong_money(field: Any) -> list[Any]:
    amounts = [bad for bad in BAD if bad is not None]
    amounts += ["-0", "-0.000000", "-", "1" * 10_000, 10**19, 2**53 + 1, float("1e300"), "0" * 13]
    amounts += [] if field.zero else ["0", "0.000000"]
    return amounts + ([] if field.signed else ["-1", "-0.000001"])


def wrong_id(field: Any) -> list[Any]:
    right = ids.new(field.prefix)
    other = ids.new("res" if field.prefix == "txn" else "txn")
    return [
        *NO_TEXT,
        "",
        other,
        right.upper(),
        right + "\n",
        right[:-1] + "١",
        right[4:],
        right + "0",
        "x" * 10_000,
        f"{field.prefix}_8" + "z" * 25,
    ]


def wrong_text(field: Any) -> list[Any]:
    controls = [f"a{c}b" for c in "\x00\x1b\x7f\x85" + ("" if field.lines else "\n")]
    return [
        *NO_TEXT,
        *["", "   ", "\u3000"][: 3 if field.least else 0],
        "x" * (field.most + 1),
        *controls,
    ]


def wrong_choice(field: Any) -> list[Any]:
    (choice,) = [check for check in field.validators if not isinstance(check, ma.validate.Length)]
    right = choice.choices[0] if isinstance(choice, ma.validate.OneOf) else "SGD"
    return [*NO_TEXT, "", "free", f" {right}", right + "\n", f"{right}\x00", right.swapcase()]


def wrong_day(_: Any) -> list[Any]:
    return [
        *NO_TEXT,
        20260131,
        "",
        "today",
        "2026-02-30",
        "2026-13-01",
        "0000-01-01",
        "10000-01-01",
        "26-01-31",
        "2026-1-31",
        "20260131",
        "2026-01-31T00:00:00Z",
        "2026-01-31\n",
        "２０２６-01-31",
        "2999-01-01",
    ]


def wrong_instant(_: Any) -> list[Any]:
    return [
        *NO_TEXT,
        1767225600,
        "",
        "soon",
        "2026-02-30T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-06-30T23:59:60Z",
        "2999-01-01T00:00:00",
        "2999-01-01",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "2999-01-01T00:00:00+25:00",
    ]


def wrong_list(field: Any) -> list[Any]:
    one = ids.new("inv")
    return ["", one, 1, True, {}, {"0": one}, [one, one], [ids.new("inv") for _ in range(201)]]


WRONG: tuple[tuple[Any, Callable[[Any], list[Any]]], ...] = (
    (Money, wrong_money),
    (TypeId, wrong_id),
    (Text, wrong_text),
    (Day, wrong_day),
    (Stamp, wrong_instant),
    (ma.fields.Boolean, lambda _: [0, 1, 1.0, "true", "", "yes", [], {}]),
    (Records, lambda _: [1, "x", {}, True, [], [RECORD] * (MAX_RECORDS + 1)]),
    (ma.fields.Integer, lambda _: [True, 1.0, 1.5, "1", "", "１", -1, 0, 2**63, 10**400, [], {}]),
    (ma.fields.List, wrong_list),
    (ma.fields.Nested, lambda _: [1, "x", True, [], [{}], {"more": 1}]),
    (ma.fields.String, wrong_choice),
)


def values(field: Any, kept: Any) -> Iterator[tuple[Any, str]]:
    """Invalid values of a field, and the location of the error below it."""
    for bad in wrong(field):
        yield bad, "/more" if bad == {"more": 1} else ""
    if isinstance(field, ma.fields.List) and not isinstance(field, Records):
        for bad in [*wrong(field.inner), ids.new("inv")]:
            yield [*kept, bad], f"/{len(kept)}"
