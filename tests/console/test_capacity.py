"""How many pages and downloads a tenant may have at once. A held response is one whose body has not
been read."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from chassis.http.slots import SharedSlots, Shares, Slots
from console.guard.capacity import Capacity

from tests.console.browser import ORIGIN, Browser
from tests.console.provider import Provider
from tests.console.system import Whole


@pytest.fixture
def limited(whole: Whole) -> Iterator[None]:
    """A process with few slots."""
    extensions, shares = whole.console.extensions, Shares(customer=1, person=1, provider=2)
    before = extensions["capacity"]
    extensions["capacity"] = Capacity(
        pages=SharedSlots(Slots(8), shares),
        downloads=SharedSlots(Slots(2, retry_after=5), shares),
        per_network=1,
    )
    yield
    extensions["capacity"] = before


def hold(browser: Browser, path: str) -> Any:
    """Begin to load a page, and read nothing."""
    headers = {"X-Forwarded-For": browser.address}
    response = browser.client.get(path, base_url=ORIGIN, headers=headers, buffered=False)
    assert response.status_code == 200
    return closing(response)


@pytest.mark.usefixtures("limited")
def test_a_person_has_so_many_downloads_at_once(
    staff_console: Browser, browser: Callable[[], Browser], provider: Provider
) -> None:
    customer = provider.customer(credits="5")
    other = browser()
    customer.owner.sign_in(other)
    file = staff_console.at(f"/c/{customer.id}/audit.csv")

    with hold(staff_console, file):
        for path in (file, staff_console.at("/customers.csv")):
            refused = staff_console.send("GET", path)
            assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
            assert "Wait until one of your downloads has ended" in refused.text
        assert staff_console.get(staff_console.at("/customers")).status == 200
        theirs = other.at(f"/c/{customer.id}/transactions.csv")
        assert other.send("GET", theirs).status == 200
        with hold(other, theirs):
            assert other.send("GET", theirs).status == 429
    assert staff_console.send("GET", file).status == 200


@pytest.mark.usefixtures("limited")
def test_a_person_has_so_many_pages_at_once(
    staff_console: Browser, browser: Callable[[], Browser]
) -> None:
    page, stranger = staff_console.at("/customers"), browser()

    with hold(staff_console, page):
        assert staff_console.send("GET", page).status == 429
        assert stranger.send("GET", "/sign-in").status == 200
    with hold(stranger, "/sign-in"):
        assert stranger.send("GET", "/sign-in").status == 429
        elsewhere = {"REMOTE_ADDR": "10.9.9.9"}
        with stranger.client.get("/sign-in", base_url=ORIGIN, environ_overrides=elsewhere) as open_:
            assert open_.status_code == 200
        assert staff_console.send("GET", page).status == 200
