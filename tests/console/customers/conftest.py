"""Staff who look at customers."""

import pytest

from tests.console.browser import Browser
from tests.console.provider import Provider


@pytest.fixture
def staff(console: Browser, provider: Provider) -> Browser:
    """The provider's owner, signed in."""
    provider.owner.sign_in(console)
    return console
