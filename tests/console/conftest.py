"""The console as people use it: through the gateway, page by page, with every service behind it, in
this process.

    def test_a_customer_is_suspended(console: Browser, provider: Provider) -> None:
        acme = provider.customer("Acme", credits="100")  # through the API
        provider.owner.sign_in(console)  # at /at/org_…: console.workspace
        page = console.get(console.at(f"/c/{acme.id}/settings"))
        # GET, fill in, submit, follow the redirect
        page = console.post(console.at(f"/c/{acme.id}/settings/suspend"), {"reason": "unpaid"})
        assert "Suspended" in page.text and acme.now["status"] == "suspended"
        assert len(console.statements(page.path)) <= 12

``console`` is a browser without script (``tests/console/browser.py``): ``get``, ``click(words)``,
``post(path, fields, at=, button=, follow=)``, ``submit(fields)`` on the page shown, ``send`` for a
raw request. A page has ``status``, ``text``, ``links``, ``forms``, ``rows``, ``banners`` and
``error(field)``. ``browser()`` makes another browser. Messages are delivered before each page and
while a request waits. ``provider`` is new in each test, so it has no customers; every password is
``PASSWORD``.

What tests begin with, through the API and by signing in, is prepared once and then copied
(``tests/kept.py``); the clock of such a test goes on from when the copy was made, so read
``clock.now()``."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from chassis.http.transport import HttpTransport
from chassis.runtime import clock, log

from tests.console.browser import Browser
from tests.console.provider import Provider, prepare
from tests.console.system import Whole
from tests.prepared_steps import Copies, Steps


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """The whole system, once."""
    log.start("CRITICAL", service="console", role="test")
    made = Whole(tmp_path_factory.mktemp("console"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def browser(whole: Whole) -> Callable[[], Browser]:
    """Makes new browsers, each with an address of its own."""
    return lambda: Browser(whole)


@pytest.fixture
def console(browser: Callable[[], Browser]) -> Browser:
    """A new browser."""
    return browser()


@pytest.fixture(scope="session")
def prepared(whole: Whole) -> tuple[str, Any, Copies]:
    """A provider's word, everything as it was when the provider was just made, and copies of what
    tests made of it."""
    return prepare(whole), whole.keep(), {}


@pytest.fixture
def provider(whole: Whole, prepared: tuple[str, Any, Copies]) -> Iterator[Provider]:
    """A provider without customers, everything put back to when it was just made."""
    word, start, copies = prepared
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", whole.now)
        whole.restore(start)
        whole.steps = Steps(whole, copies)
        yield Provider(whole, word)
        whole.steps = None


@pytest.fixture
def staff_console(console: Browser, provider: Provider) -> Browser:
    """The provider's owner, signed in."""
    provider.owner.sign_in(console)
    return console


@pytest.fixture
def unavailable(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From when it is called, the API does not answer the console."""
    return lambda: monkeypatch.setitem(
        whole.console.extensions, "gateway", HttpTransport("http://127.0.0.1:9")
    )
