"""What pages and files show of customers, also while a service is unavailable."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chassis.errors import Unavailable
from chassis.http.client import ServiceResponse

from tests.console.browser import Page
from tests.console.dom import Element
from tests.console.system import Whole

# Every sign a name may begin with that means something to a spreadsheet or to a browser.
HOSTILE = (
    "=1+1",
    "+44 Ltd.",
    "-2 Degrees",
    "@home",
    "<b>Bold & Brave</b>",
    "\"Quoted\" 'Both'",
    "</title><script>",
)


class Away:
    """A transport that does not respond for some paths."""

    def __init__(self, wire: Any, *paths: str) -> None:
        self.wire, self.paths = wire, paths

    def send(
        self, method: str, path: str, headers: Any, body: bytes | None = None
    ) -> ServiceResponse:
        if any(part in path for part in self.paths):
            raise Unavailable(
                "The service is temporarily unavailable. Try again.", code="service_unavailable"
            )
        response: ServiceResponse = self.wire.send(method, path, headers, body)
        return response


@contextmanager
def unavailable(whole: Whole, *paths: str) -> Iterator[None]:
    """The API does not respond for these paths."""
    kept = whole.console.extensions["gateway"]
    whole.console.extensions["gateway"] = Away(kept, *paths)
    try:
        yield
    finally:
        whole.console.extensions["gateway"] = kept


def names(page: Page) -> list[str]:
    """The listed customers, in order."""
    return [row.find("a")[0].text for row in page.top.find("tr") if "data-row" in row.attrs]


def card(page: Page, title: str) -> Element:
    """The card with this title."""
    return next(
        one for one in page.top.find("section", class_="card") if one.find("h2")[0].text == title
    )


def failed(page: Page) -> list[str]:
    """The titles of the cards that could not be loaded."""
    cards = page.top.find("section", class_="card")
    return sorted(one.find("h2")[0].text for one in cards if one.find(class_="missing"))


def lines(page: Page) -> list[list[str]]:
    """The file, read by a strict parser."""
    text = page.response.get_data().decode("utf-8")
    assert (
        text.startswith("\ufeff") and text.endswith("\r\n") and "\n" not in text.replace("\r\n", "")
    )
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True))


def table(page: Page) -> dict[str, dict[str, str]]:
    """The file: name -> column -> cell."""
    head, *rows = lines(page)
    return {row[head.index("name")]: dict(zip(head, row, strict=True)) for row in rows}
