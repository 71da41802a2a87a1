"""A customer that its provider manages, and one that manages itself."""

import pytest

from tests.membership.conftest import MembershipService
from tests.membership.support_setup import SupportSetup, support_setup


@pytest.fixture
def support(service: MembershipService) -> SupportSetup:
    return support_setup(service)


@pytest.fixture
def setup(service: MembershipService) -> SupportSetup:
    """A customer that manages itself."""
    return support_setup(service, managed_by="customer")
