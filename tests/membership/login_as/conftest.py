"""Staff who may act as Jane, an admin of a customer."""

from typing import Any

import pyotp
import pytest

from tests.membership.conftest import MembershipService
from tests.membership.support_setup import SupportSetup, support_setup


def staff_path(support: SupportSetup) -> str:
    """Where the provider's owner changes the staff member."""
    member_id = support.service.claims(support.staff)["mid"]
    return f"/v1/organizations/{support.provider_id}/members/{member_id}"


def switch_on(support: SupportSetup, token: str) -> Any:
    """Let this person use one-time codes; the response to the first."""
    secret = support.call("POST", "/v1/me/totp", token=token).json["secret"]
    otp = pyotp.TOTP(secret).at(support.service.clock.now())
    return support.call("POST", "/v1/me/totp/confirm", {"otp": otp}, token=token)


@pytest.fixture
def support(service: MembershipService) -> SupportSetup:
    return support_setup(service)


@pytest.fixture
def jane(support: SupportSetup) -> tuple[str, str]:
    return support.member("jane@customer.example", role="admin")


@pytest.fixture
def token(support: SupportSetup, jane: tuple[str, str]) -> str:
    return support.login_as(jane[0]).json["access_token"]
