"""A browser, the systems it uses, and the people in front of it."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from devtools.processes import System
from devtools.servers import installation
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from tests import summary
from tests.browser.people import Person, Typist
from tests.browser.sites import ADMIN, Site
from tests.embedded import Embedded

PATIENCE = 240_000
Arrivals = Callable[..., Person]


@pytest.fixture(scope="session")
def chromium(costly: ExitStack) -> Browser:
    """Chromium, found or installed; otherwise an error that says what to install."""
    program = installation.chromium()
    expect.set_options(timeout=PATIENCE)
    play = costly.enter_context(sync_playwright())
    browser = play.chromium.launch(
        executable_path=program,
        args=["--no-sandbox"] if os.geteuid() == 0 else [],
    )
    costly.callback(browser.close)
    summary.section("browser").append(f"Chromium {browser.version}, {program}")
    return browser


@pytest.fixture(scope="session")
def embedded(costly: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The embedded system."""
    one = Embedded(tmp_path_factory.mktemp("browsed"))
    costly.callback(one.kill)
    one.start()
    return Site("embedded", one.address, one.password, one.folder / "var/mail")


@pytest.fixture(scope="session")
def processes(system: System) -> Site:
    """Each role a process, on PostgreSQL and RabbitMQ."""
    return Site("processes", system.pages, system.password, system.mail, api=system.address)


@pytest.fixture
def arrive(chromium: Browser) -> Iterator[Arrivals]:
    """People arrive, each in a browser context of their own. An error that the browser reports
    fails the test.

    ``as_``: the email address to sign in with, once for all tests of a site; empty: not signed
    in."""
    contexts: list[BrowserContext] = []
    troubles: list[str] = []

    def arrives(
        site: Site,
        as_: str = ADMIN,
        password: str = "",
        *,
        kind: type[Person] = Person,
        **options: Any,
    ) -> Person:
        state = site.states.get(as_) if as_ else None
        context = chromium.new_context(storage_state=state, **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        person = kind(context, site.address, troubles=troubles)
        person.has_script = options.get("java_script_enabled", True)
        if as_ and state is None:
            person.sign_in(as_, password or site.password)
            site.states[as_] = context.storage_state()
        elif as_:
            person.go("/")
            person.settle()
        return person

    yield arrives
    for context in contexts:
        context.close()
    assert not troubles, "\n".join(dict.fromkeys(troubles))


@pytest.fixture
def typist(arrive: Arrivals, embedded: Site) -> Typist:
    """Somebody with a keyboard only, not signed in."""
    person = arrive(embedded, "", kind=Typist)
    assert isinstance(person, Typist)
    return person


@pytest.fixture
def watch(request: pytest.FixtureRequest) -> Iterator[None]:
    """Reports how long the test took."""
    began = time.monotonic()
    yield
    summary.section("jobs in the browser").append(
        f"{time.monotonic() - began:5.1f} s  {request.node.name}"
    )
