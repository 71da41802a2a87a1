"""A customer, and what the tests of pages about its people share."""

import pyotp
import pytest
from chassis.runtime import clock

from tests.console.browser import Browser
from tests.console.provider import Customer, Provider


def members(console: Browser, customer: Customer, rest: str = "") -> str:
    return console.at(f"/c/{customer.id}/members{rest}")


def code(secret: str) -> str:
    return pyotp.TOTP(secret).at(clock.now())


@pytest.fixture
def acme(console: Browser, provider: Provider) -> Customer:
    """A customer, and its provider's owner signed in."""
    made = provider.customer("Acme")
    provider.owner.sign_in(console)
    return made
