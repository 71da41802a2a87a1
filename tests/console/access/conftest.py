"""A customer, its provider's staff, and how they get in."""

import re

import pytest
from console.views import support

from tests.console.browser import Browser, Page
from tests.console.provider import Customer, Person, Provider


@pytest.fixture
def acme(provider: Provider) -> Customer:
    """A customer whose provider offers Remote Support."""
    provider.api("PATCH", "/v1/settings", {"managed_service": True})
    support.clear_cache()
    return provider.customer("Acme & Söhne", credits="100")


@pytest.fixture
def sven(acme: Customer) -> Person:
    """A staff member with the preset support."""
    return acme.provider.staff("manager")


def log_in_as(console: Browser, acme: Customer, reason: str = "ticket 7") -> Page:
    """Log in as the owner, with the form."""
    return console.post(
        console.at(f"/c/{acme.id}/members/{acme.owner.id}/login-as"), {"reason": reason}
    )


def ask(console: Browser, acme: Customer, access: str = "full") -> str:
    """Request support access; the id of the grant."""
    page = console.post(
        console.at(f"/c/{acme.id}/support/request"),
        {"reason": "ticket 8", "access": access, "minutes": "60"},
    )
    match = re.search(r"/support/(grt_\w+)/", page.html)
    assert match, page.text
    return match[1]


def enter(console: Browser, acme: Customer, grant: str) -> Page:
    """Enter an account under a grant."""
    return console.post(console.at(f"/c/{acme.id}/support/{grant}/enter"))


def banner(page: Page) -> str:
    banners = page.top.find(class_="acting")
    return banners[0].text if banners else ""
