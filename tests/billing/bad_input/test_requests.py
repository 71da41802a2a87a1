"""Ids, keys, methods, tags: what is invalid around a body; and that the samples are valid."""

import re
from collections.abc import Iterator
from typing import Any

from chassis.runtime import ids

from tests.billing.bad_input.samples import ODD, PARAMETER, Books, Route
from tests.billing.conftest import World

NO_KEY_NEEDED = {"POST /v1/usage"}


def test_a_malformed_id_does_not_exist(books: Books, routes: list[Route], unchanged: Any) -> None:
    for route in routes:
        names = PARAMETER.findall(route.path)
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
