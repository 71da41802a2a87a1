"""Invalid input for every endpoint of billing: a clear refusal, and no stored byte changes.

The routes are read from the application, the fields from their schemas. A route without a sample
fails here, and so does a field without a sample or of a kind without invalid values.
"""

import base64
import gzip
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import marshmallow as ma
import pytest
from billing.models.table import Base as Tables
from billing.schemas.fields import Day, Moment, Money
from billing.schemas.usage import MAX_RECORDS, Records, UsageRecordShown
from chassis.db import columns
from chassis.http import paging
from chassis.http.fields import Stamp, Text, TypeId
from chassis.runtime import ids
from sqlalchemy import func, select

from tests.billing.conftest import World
from tests.billing.test_values import BAD

O = "/v1/organizations/<organization_id>"  # noqa: E741
ODD = "Zähler İ ١ 😀 עברית e\u0301"
REASON = {"reason": ODD}
# For each route that changes something, a body with every field.
BODIES: dict[str, dict[str, Any]] = {
    f"PATCH {O}/account": {
        "payment_mode": "postpaid",
        "credit_limit": "900",
        "credit_limit_expires_at": "2999-01-01T00:00:00Z",
        "auto_top_up": {"enabled": True, "threshold": "5", "amount": "50", "method": "cheque"},
    },
    f"POST {O}/account/top-ups": {
        "amount": "1.5",
        "method": "cash",
        "reference": ODD,
        "remark": ODD,
    },
    f"POST {O}/account/withdrawals": {
        "amount": "0.5",
        "method": "cheque",
        "reference": ODD,
        **REASON,
    },
    f"POST {O}/account/charges": {
        "amount": "1",
        "kind": "usage",
        "description": ODD,
        "cost": "0.25",
        "external_invoice": "EXT-1",
    },
    f"POST {O}/account/adjustments": {"amount": "-0.5", "kind": "correction", **REASON},
    f"POST {O}/account/refunds": {"transaction_id": "<charge_id>", "amount": "0.5", **REASON},
    f"POST {O}/account/transactions/<transaction_id>/reverse": REASON,
    f"DELETE {O}/account/payment-method": {},
    f"POST {O}/account/reservations": {"amount": "1", "description": ODD, "expires_in": 60},
    f"POST {O}/account/reservations/<reservation_id>/capture": {
        "amount": "0.5",
        "final": False,
        "cost": "0.1",
    },
    f"POST {O}/account/reservations/<reservation_id>/release": {},
    f"POST {O}/invoices": {},
    f"POST {O}/invoices/<invoice_id>/void": REASON,
    f"POST {O}/invoices/<invoice_id>/credit-notes": {"amount": "1", **REASON},
    f"POST {O}/payments": {
        "amount": "2",
        "method": "cash",
        "reference": ODD,
        "received_on": "2026-01-31",
        "invoice_ids": ["<due_id>"],
    },
    f"PATCH {O}/payments/<payment_id>": {"invoice_ids": ["<invoice_id>"]},
    "POST /v1/usage": {"records": [], "admission": "always"},
    "POST /v1/wallet/top-ups": {
        "amount": "3",
        "method": "cheque",
        "reference": ODD,
        "currency": "SGD",
        "remark": ODD,
    },
}
RECORD = {
    "id": "r-1",
    "organization_id": "<organization_id>",
    "amount": "1",
    "at": "2026-03-01T12:00:00Z",
    "description": ODD,
    "cost": "0.1",
}
# These need no body, so a missing one is the same as an empty one.
NO_KEY_NEEDED = {"POST /v1/usage"}
_PARAMETER = re.compile(r"<(\w+)>")


class Route(NamedTuple):
    """A method and path of the application, with the schemas of its ``json`` or ``query``."""

    method: str
    path: str
    takes: dict[str, ma.Schema]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


class Books:
    """A customer with objects of every kind, another customer, and all stored rows about them.

    ``foreign``: the other customer's objects, if there are any already."""

    def __init__(self, world: World, foreign: dict[str, str] | None = None) -> None:
        self.world = world
        org = self.org = world.open("postpaid", "1000")
        self.known = {"organization_id": org}
        self.foreign = foreign or self._fill(world.open("postpaid", "1000"))
        self.known |= self._fill(org)
        world.store_card(org)
        self.token = world.token()
        self._numbers = itertools.count()

    def _fill(self, org: str) -> dict[str, str]:
        world, base = self.world, f"/v1/organizations/{org}"

        def made(path: str, body: dict[str, Any]) -> str:
            response = world.call("POST", f"{base}/{path}", body)
            assert response.status_code == 201, response.json
            return response.json["id"]

        world.charge(org, "100", cost="10")
        known = {"organization_id": org, "due_id": made("invoices", {})}
        known["payment_id"] = [
            made("payments", {"amount": "15", "method": "cash"}) for _ in range(2)
        ][1]
        world.charge(org, "10")
        known["invoice_id"] = made("invoices", {})
        known["charge_id"] = world.charge(org, "20", cost="3")["id"]
        held = {"amount": "5", "description": "held"}
        known["reservation_id"] = [made("account/reservations", held) for _ in range(2)][1]
        known["transaction_id"] = world.adjust(org, "-3", "goodwill")["id"]
        world.top_up(org, "7")
        return known

    def filled(self, value: Any, known: dict[str, str] | None = None) -> Any:
        """The value with its ``<names>`` replaced."""
        if isinstance(value, str):
            return _PARAMETER.sub(lambda match: (known or self.known)[match[1]], value)
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        return (
            {name: self.filled(item) for name, item in value.items()}
            if isinstance(value, dict)
            else value
        )

    def body(self, route: Route) -> dict[str, Any]:
        body = self.filled(BODIES[route.name])
        if "records" in body:
            body["records"] = [self.filled(RECORD)]
        return body

    def send(self, route: Route, raw: Any, **options: Any) -> Any:
        """Send bytes, or a value as JSON; by default as the provider's owner with a fresh key."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if route.method == "POST":
            headers["Idempotency-Key"] = f"bad-{id(self)}-{next(self._numbers)}"
        headers |= {
            name.replace("_", "-"): value for name, value in options.pop("headers", {}).items()
        }
        sent = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
        path = options.pop("path", None) or self.filled(route.path)
        return self.world.client.open(
            path,
            method=route.method,
            data=sent,
            headers={name: value for name, value in headers.items() if value is not None},
            **options,
        )

    def written(self) -> list[Any]:
        """Every row about these customers and this provider; of other tables the number of rows."""
        owners = {self.org, self.foreign["organization_id"], self.world.provider_id}
        rows: list[Any] = []
        with self.world.database.reading() as session:
            for table in (*Tables.metadata.sorted_tables, *columns.Base.metadata.sorted_tables):
                owner = next(
                    (
                        table.c[name]
                        for name in ("organization_id", "provider_id", "aggregate")
                        if name in table.c
                    ),
                    None,
                )
                if table.name == "providers":
                    owner = table.c.id
                wanted = (
                    select(func.count()).select_from(table)
                    if owner is None
                    else (select(table).where(owner.in_(owners)).order_by(*table.primary_key))
                )
                rows += [(table.name, *row) for row in session.execute(wanted)]
        return rows


@pytest.fixture
def books(world: World) -> Books:
    return Books(world)


@pytest.fixture
def routes(world: World) -> list[Route]:
    """Every documented route of billing, read from the application."""
    app: Any = world.client.application
    routes = []
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/v1/"):
            continue
        about = (
            getattr(app.view_functions[rule.endpoint], "_apidoc", {})
            .get("arguments", {})
            .get("parameters", [])
        )
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            view = app.view_functions[rule.endpoint]
            if hasattr(view, "view_class"):
                about = getattr(view.view_class, method.lower())._apidoc
            takes = {
                part["in"]: part["schema"]()
                for part in about
                if isinstance(part.get("schema"), type)
            }
            routes.append(Route(method, rule.rule, takes))
    return routes


@pytest.fixture
def changing(routes: list[Route]) -> list[Route]:
    """The routes that change something."""
    return [route for route in routes if route.method != "GET"]


@pytest.fixture
def unchanged(books: Books) -> Callable[[Route, Iterable[tuple[Any, Any, Any]]], None]:
    """Assert that each response is a problem with an expected status, and that no row changes."""

    def check(route: Route, tried: Iterable[tuple[Any, Any, Any]]) -> None:
        before = books.written()
        for what, response, expected in tried:
            wanted, pointer = expected if isinstance(expected, tuple) else (expected, None)
            body = response.get_data()[:500]
            summary = f"{route.name}: {str(what)[:200]} -> {response.status_code} {body!r}"
            assert response.status_code == wanted, summary
            assert response.content_type == "application/problem+json" and response.json["code"], (
                summary
            )
            if pointer:
                assert [error["pointer"] for error in response.json["errors"]] == [pointer], summary
        assert books.written() == before, route.name

    return check


def test_every_route_and_every_field_has_a_sample(
    routes: list[Route], changing: list[Route]
) -> None:
    assert {route.name for route in changing} == BODIES.keys()
    assert len(routes) > len(changing) > 10
    for route in changing:
        for at, field, _ in fields_of(route.takes.get("json"), BODIES[route.name]):
            assert wrong(field), (route.name, at)
    assert RECORD.keys() == UsageRecordShown().fields.keys()


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


def test_a_body_that_is_not_an_object_is_refused(
    books: Books, changing: list[Route], unchanged: Any
) -> None:
    """Unreadable, or of an unsupported content type."""
    for route in changing:
        if "json" not in route.takes:
            continue
        good = json.dumps(books.body(route)).encode()
        most = (4 << 20) if route.path == "/v1/usage" else 64 << 10
        bodies: list[tuple[bytes, int]] = [
            *(
                (raw, 400)
                for raw in (
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
                )
            ),
            (b'{"reason": "' + b"x" * (most + 1 - 14) + b'"}', 413),
            (b" " * most + good, 413),
        ]
        if any(field.required for field in route.takes["json"].load_fields.values()):
            bodies.append((b"", 400))
        unchanged(route, ((raw[:80], books.send(route, raw), status) for raw, status in bodies))
        kinds = [
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
        kinds += ["application/merge-patch+json"] if route.method == "POST" else []
        unchanged(
            route,
            (
                (kind, books.send(route, good, headers={"Content-Type": kind}), 415)
                for kind in kinds
            ),
        )
        packed = gzip.compress(good)
        unchanged(
            route,
            (
                (coding, books.send(route, packed, headers={"Content-Encoding": coding}), 415)
                for coding in ("gzip", "br", "deflate", "gzip, identity", "x")
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
        if isinstance(field, Money | ma.fields.Integer):
            yield (
                "1e400",
                json.dumps(body).replace(json.dumps({key: kept})[1:-1], f'"{key}": 1e400').encode(),
                at,
            )
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


def values(field: Any, kept: Any) -> Iterator[tuple[Any, str]]:
    """Invalid values of a field, and the location of the error below it."""
    for bad in wrong(field):
        yield bad, "/more" if bad == {"more": 1} else ""
    if isinstance(field, ma.fields.List) and not isinstance(field, Records):
        for bad in [*wrong(field.inner), ids.new("inv")]:
            yield [*kept, bad], f"/{len(kept)}"


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


def test_a_malformed_id_does_not_exist(books: Books, routes: list[Route], unchanged: Any) -> None:
    for route in routes:
        names = _PARAMETER.findall(route.path)
        body = books.body(route) if route.method != "GET" else {}

        def tried(
            route: Route = route, names: list[str] = names, body: Any = body
        ) -> Iterator[tuple[Any, Any, Any]]:
            for name in names:
                right = books.known[name]
                other = ids.new("pay" if name == "invoice_id" else "inv")
                some = [
                    ids.new(right[:3]),
                    other,
                    right.upper(),
                    right.capitalize(),
                    right + "%0A",
                    right + "%00",
                    right[:-1] + "%D9%A1",
                    right[4:],
                    right[:-1],
                    right + "0",
                    "x" * 10_000,
                    "%20" + right,
                    "null",
                    "0",
                    "-1",
                    right[:4] + "0" * 26,
                    right[:4] + "8" + "z" * 25,
                    "%FF",
                    "'%20OR%20''='",
                ]
                for bad in [*some, *([books.foreign[name]] if name != "organization_id" else [])]:
                    path = books.filled(route.path, {**books.known, name: bad})
                    yield (name, bad), books.send(route, body, path=path), 404

        unchanged(route, tried())


def test_money_moves_only_with_a_valid_idempotency_key(
    books: Books, changing: list[Route], unchanged: Any
) -> None:
    for route in changing:
        if route.method != "POST":
            continue
        body = books.body(route)
        if route.name not in NO_KEY_NEEDED:
            response = books.send(route, body, headers={"Idempotency-Key": None})
            unchanged(route, [("no key", response, 400)])
            assert response.json["code"] == "idempotency_key_required"
        keys = [
            "",
            " ",
            "x" * 256,
            "a b",
            "a\tb",
            "a\x01b",
            "a\x7fb",
            "\x00",
            "é",
            "ключ".encode().decode("latin1"),
        ]
        tried = [
            (key, books.send(route, body, headers={"Idempotency-Key": key}), 400) for key in keys
        ]
        unchanged(route, tried)
        assert {response.json["code"] for _, response, _ in tried} == {"idempotency_key_invalid"}, (
            route.name
        )


def test_an_unsupported_method_is_refused_with_the_supported_ones(
    books: Books, routes: list[Route], unchanged: Any
) -> None:
    served: dict[str, set[str]] = {}
    for route in routes:
        served.setdefault(route.path, set()).add(route.method)
    for path, methods in served.items():
        tried = []
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - methods:
            route = Route(method, path, {})
            override = {"X-HTTP-Method-Override": next(iter(methods))}
            response = books.send(route, {"amount": "1", "method": "cash"}, headers=override)
            assert methods <= set(re.findall("[A-Z]+", response.headers["Allow"])), path
            tried.append((method, response, 405))
        unchanged(Route("any", path, {}), tried)


def test_invalid_list_queries_are_refused(
    books: Books, routes: list[Route], unchanged: Any
) -> None:
    def forged(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    lists = [route for route in routes if "query" in route.takes]
    assert len(lists) >= 4 and all(
        isinstance(route.takes["query"], paging.PageArgs) for route in lists
    )
    for route in lists:
        path = books.filled(route.path)

        def get(query: str, route: Route = route, path: str = path) -> Any:
            return books.send(route, b"", path=f"{path}?{query}")

        first = get("limit=1").json["next_cursor"]
        other = books.send(
            route, b"", path=books.filled(route.path, books.foreign) + "?limit=1"
        ).json["next_cursor"]
        assert get(f"limit=1&cursor={first}").status_code == 200, route.name
        limits = [
            "",
            "0",
            "-1",
            "201",
            "999999999",
            "1.5",
            "1e2",
            "abc",
            "٣",
            "１",
            "%2B5",
            "%205",
            "5%20",
            "1_0",
            "0x5",
            "NaN",
            "5%00",
            "5%0A",
            "1" * 5000,
        ]
        mark = base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)).decode()[:8]
        cursors = [
            "",
            "x",
            "%00",
            "%FF",
            "١",
            "x" * 1001,
            first[:-3],
            first[3:],
            other,
            forged(mark),
            forged(mark + "<"),
            forged(mark + ">i:1~i:2~i:3"),
            forged(mark + ">i:" + "9" * 300),
            forged("00000000>i:1"),
            forged(mark + ">dt:2026-13-13 00:00:00"),
        ]
        queries = [
            *((f"limit={bad}", "/limit") for bad in limits),
            *((f"cursor={bad}", "/cursor") for bad in cursors),
        ]
        queries += [
            ("limit=1&limit=2", "/limit"),
            (f"cursor={first}&cursor={first}", "/cursor"),
            ("more=1", "/more"),
            ("limit[]=1", "/limit[]"),
            ("=1", "/"),
            ("Limit=1", "/Limit"),
            ("limit=1&limit=1", "/limit"),
        ]
        for name, field in route.takes["query"].load_fields.items():
            key = field.data_key or name
            if key not in ("limit", "cursor"):
                some = [
                    "",
                    "x",
                    "%00",
                    "2026-02-30",
                    "2026-01-01T00:00:00",
                    "10000-01-01",
                    "0000-01-01",
                    "１",
                ]
                queries += [(f"{key}={bad}", f"/{key}") for bad in some]
                assert isinstance(field, Day | Moment | ma.fields.Boolean | ma.fields.String), key
        unchanged(route, ((query, get(query), (422, pointer)) for query, pointer in queries))
        many = "&".join(f"x{n}=1" for n in range(1000))
        unchanged(route, [("a thousand", get(many), 422)])


def test_a_valid_request_is_executed_once_per_key(world: World, changing: list[Route]) -> None:
    """The samples above are refused only for what is invalid in them."""
    foreign = None
    for route in changing:
        books = Books(world, foreign)
        foreign = books.foreign
        before, body = books.written(), books.body(route)
        key = {"Idempotency-Key": "the-key-" + books.org} if route.method == "POST" else {}
        done = books.send(route, body, headers=key)
        assert done.status_code in (200, 201, 204), (route.name, done.json)
        after = books.written()
        assert after != before, route.name
        if key:
            again = books.send(route, body, headers=key)
            assert (again.status_code, again.data, again.headers["Idempotent-Replayed"]) == (
                done.status_code,
                done.data,
                "true",
            ), route.name
            assert books.send(route, {**body, "more": "1"}, headers=key).status_code == 422, (
                route.name
            )
            if body:
                changed = {**body, **({"admission": "limit"} if "records" in body else {})}
                changed |= {
                    name: "another" for name in ("reason", "description", "remark") if name in body
                }
                changed |= {"final": True} if "final" in body else {}
                if changed != body:
                    refused = books.send(route, changed, headers=key)
                    assert refused.json["code"] == "idempotency_key_reused", (
                        route.name,
                        refused.json,
                    )
        assert books.written() == after, route.name


def test_unusual_text_is_returned_as_sent(books: Books) -> None:
    """Only accents are normalized."""
    response = books.world.post(
        books.org, "top-ups", {"amount": "1", "method": "cash", "remark": ODD}
    )
    assert response.json["remark"] == ODD.replace("e\u0301", "é")


def test_a_change_without_the_current_etag_is_refused(
    books: Books, changing: list[Route], unchanged: Any
) -> None:
    for route in changing:
        if route.method == "PATCH":
            tried = (
                (tag, books.send(route, books.body(route), headers={"If-Match": tag}), 412)
                for tag in ('"x"', 'W/"x"', '"a", "b"', "x", '"', "")
            )
            unchanged(route, tried)
