"""Bodies that are no object, and invalid fields and records in them."""

import gzip
import json
import re
from collections.abc import Iterator
from typing import Any

from billing.schemas.usage import UsageRecordShown
from chassis.runtime import ids

from tests.billing.bad_input.invalid_values import NO_TEXT, fields_of, values, wrong
from tests.billing.bad_input.samples import BODIES, RECORD, Books, Route


def test_every_route_and_every_field_has_a_sample(
    routes: list[Route], changing: list[Route]
) -> None:
    assert {route.name for route in changing} == BODIES.keys()
    assert len(routes) > len(changing) > 10
    for route in changing:
        for at, field, _ in fields_of(route.takes.get("json"), BODIES[route.name]):
            assert wrong(field), (route.name, at)
    assert RECORD.keys() == UsageRecordShown().fields.keys()


def unreadable(good: bytes) -> list[bytes]:
    """What is no JSON object, or not exactly one."""
    return [
        b"null",
        b"[]",
        b"[{}]",
        b"1",
        b'"x"',
        b"true",
        b" ",
        b"{",
        good[:-1],
        good + b"x",
        good + good,
        good + b"\n{}",
        good + b"\x00",
        b"\x00",
        b'{"amount": NaN}',
        b'{"amount": -Infinity}',
        b'{"amount": 1e400}',
        b'{"records": [{"id": "a", "amount": -1.0e999}]}',
        b'{"records": [{"id": "\\ud800"}]}',
        b"{'amount': '1'}",
        b'{"amount": 01}',
        b'{"amount": "1", "amount": "1"}',
        b'{"reason": "\\ud800"}',
        b'{"x": "\\udc00\\ud800"}',
        b'{"x": {"y": 1, "y": 1}}',
        b'{"amount": ' + b"1" * 5000 + b"}",
        b'{"x":' * 9000,
        b"[" * 60_000,
        b'{"x":' * 9000 + b"1" + b"}" * 9000,
        b"\xff\xfe",
        b"\xef\xbb\xbf" + good,
        good.decode().encode("utf-16"),
        b'{"reason": "\xc0\xaf"}',
        b'{"reason": "\xed\xa0\x80"}',
        b'{"amount": "1",}',
        b"--" + good,
    ]


CONTENT_TYPES = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/json",
    "application/xml",
    "application/octet-stream",
    "application/jsonx",
    "",
    None,
]
CONTENT_ENCODINGS = ["gzip", "br", "deflate", "gzip, identity", "x"]


def test_a_body_that_is_not_an_object_is_refused(
    books: Books, changing: list[Route], unchanged: Any
) -> None:
    """Unreadable, or of an unsupported content type."""
    for route in changing:
        if "json" not in route.takes:
            continue
        good = json.dumps(books.body(route)).encode()
        most = (4 << 20) if route.path == "/v1/usage" else 64 << 10
        bodies = [(raw, 400) for raw in unreadable(good)]
        bodies.append((b'{"reason": "' + b"x" * (most + 1 - 14) + b'"}', 413))
        bodies.append((b" " * most + good, 413))
        if any(field.required for field in route.takes["json"].load_fields.values()):
            bodies.append((b"", 400))
        unchanged(route, ((raw[:80], books.send(route, raw), status) for raw, status in bodies))
        patches = ["application/merge-patch+json"] if route.method == "POST" else []
        unchanged(
            route,
            (
                (kind, books.send(route, good, headers={"Content-Type": kind}), 415)
                for kind in [*CONTENT_TYPES, *patches]
            ),
        )
        packed = gzip.compress(good)
        unchanged(
            route,
            (
                (coding, books.send(route, packed, headers={"Content-Encoding": coding}), 415)
                for coding in CONTENT_ENCODINGS
            ),
        )


def test_an_invalid_field_is_refused_by_name(
    books: Books, changing: list[Route], unchanged: Any
) -> None:
    for route in changing:
        if "json" in route.takes:
            unchanged(
                route,
                (
                    (what, books.send(route, body), (422, expected))
                    for what, body, expected in invalid_bodies(route, books.body(route))
                ),
            )


def invalid_bodies(route: Route, body: dict[str, Any]) -> Iterator[tuple[Any, Any, str]]:
    """Every invalid variant of a body: what is wrong, the body, and the location of the error."""
    for at, field, part in fields_of(route.takes["json"], body):
        key = at.rpartition("/")[2]
        kept = part[key]
        for part[key], where in values(field, kept):
            yield part[key], body, at + where
        part[key] = kept
        if field.required:
            del part[key]
            yield "missing", body, at
            part[key] = kept
    for name in (
        "more",
        "id",
        "organization_id",
        "status",
        "balance_after",
        "",
        "a/b",
        "__proto__",
        "Amount",
    ):
        yield "unknown", {**body, name: "1"}, "/" + name.replace("/", "~1")


def test_records_that_are_nested_deeply_are_refused(books: Books, changing: list[Route]) -> None:
    """However deeply: some bodies can just be read, but not read again further down the stack."""
    (route,) = [route for route in changing if route.path == "/v1/usage"]
    responses = [
        books.send(route, b'{"records":[' + b"[" * depth + b"]" * depth + b"]}")
        for depth in range(800, 1000)
    ]

    assert {response.status_code for response in responses} == {200, 400}


def test_an_invalid_usage_record_is_refused_alone(books: Books, changing: list[Route]) -> None:
    (route,) = [route for route in changing if route.path == "/v1/usage"]
    record = books.filled(RECORD)
    ids_ = ["", " ", "a b", "x" * 129, "é", "a\n", "a\x00", "\x7f", "١", *NO_TEXT, None]
    bad: list[Any] = [
        None,
        1,
        "x",
        [],
        [[]],
        {},
        {**record, "more": 1},
        *({**record, "id": wrong_} for wrong_ in ids_),
    ]
    for name, field in UsageRecordShown().fields.items():
        bad += (
            [{key: value for key, value in record.items() if key != name}] if field.required else []
        )
        bad += [{**record, name: value} for value in (wrong(field) if name != "id" else [])]
    bad += [{**record, "organization_id": ids.new("org")}]
    before = books.written()
    for size in (1, 50):
        for few in (bad[n : n + size] for n in range(0, len(bad), size)):
            response = books.send(route, {"records": few, "admission": "always"})
            assert response.status_code == 200, response.json
            assert response.json["accepted"] == response.json["duplicates"] == 0, few
            assert [refused["index"] for refused in response.json["refused"]] == list(
                range(len(few))
            ), few
            assert all(
                re.fullmatch("[a-z_]+", refused["code"]) for refused in response.json["refused"]
            )
    # A request with a key is stored, whatever the outcome of its records; nothing else is.
    assert [row for row in books.written() if row[0] != "idempotency_keys"] == [
        row for row in before if row[0] != "idempotency_keys"
    ]
