"""Invalid queries of lists."""

import base64
from typing import Any

import marshmallow as ma
from billing.schemas.fields import Day, Moment
from chassis.http import paging

from tests.billing.bad_input.samples import Books, Route

LIMITS = [
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
FILTERS = [
    "",
    "x",
    "%00",
    "2026-02-30",
    "2026-01-01T00:00:00",
    "10000-01-01",
    "0000-01-01",
    "１",
]


def test_invalid_list_queries_are_refused(
    books: Books, routes: list[Route], unchanged: Any
) -> None:
    lists = [route for route in routes if "query" in route.takes]
    assert len(lists) >= 4 and all(
        isinstance(route.takes["query"], paging.PageArgs) for route in lists
    )
    for route in lists:
        path, others_path = books.filled(route.path), books.filled(route.path, books.foreign)

        def get(query: str, path: str = path, route: Route = route) -> Any:
            return books.send(route, b"", path=f"{path}?{query}")

        first = get("limit=1").json["next_cursor"]
        others = []
        if others_path != path:
            others.append(get("limit=1", others_path).json["next_cursor"])
        assert get(f"limit=1&cursor={first}").status_code == 200, route.name
        queries = [
            *((f"limit={bad}", "/limit") for bad in LIMITS),
            *((f"cursor={bad}", "/cursor") for bad in [*forged_cursors(first), *others]),
            *wrong_names(first),
            *wrong_filters(route),
        ]
        unchanged(route, ((query, get(query), (422, pointer)) for query, pointer in queries))
        many = "&".join(f"x{n}=1" for n in range(1000))
        unchanged(route, [("a thousand", get(many), 422)])


def forged_cursors(right: str) -> list[str]:
    """Cursors that no list gives."""

    def forged(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    mark = base64.urlsafe_b64decode(right + "=" * (-len(right) % 4)).decode()[:8]
    return [
        "",
        "x",
        "%00",
        "%FF",
        "١",
        "x" * 1001,
        right[:-3],
        right[3:],
        forged(mark),
        forged(mark + "<"),
        forged(mark + ">i:1~i:2~i:3"),
        forged(mark + ">i:" + "9" * 300),
        forged("00000000>i:1"),
        forged(mark + ">dt:2026-13-13 00:00:00"),
    ]


def wrong_names(cursor: str) -> list[tuple[str, str]]:
    """Parameters that are repeated or unknown, and the location of the error."""
    return [
        ("limit=1&limit=2", "/limit"),
        (f"cursor={cursor}&cursor={cursor}", "/cursor"),
        ("more=1", "/more"),
        ("limit[]=1", "/limit[]"),
        ("=1", "/"),
        ("Limit=1", "/Limit"),
        ("limit=1&limit=1", "/limit"),
    ]


def wrong_filters(route: Route) -> list[tuple[str, str]]:
    """Invalid values of the list's own filters, and the location of the error."""
    queries = []
    for name, field in route.takes["query"].load_fields.items():
        key = field.data_key or name
        if key not in ("limit", "cursor"):
            assert isinstance(field, Day | Moment | ma.fields.Boolean | ma.fields.String), key
            queries += [(f"{key}={bad}", f"/{key}") for bad in FILTERS]
    return queries
