"""What a member leaves behind who is disabled or removed, and what becomes of it."""

import pytest
from membership.models import SupportGrant
from sqlalchemy import select

from tests.databases import counted
from tests.membership.conftest import MembershipService
from tests.membership.support_setup import SupportSetup, support_setup

OTTO = "otto@provider.example"
NOTHING = {"keys": 0, "grants": 0, "sessions": 0}


class Leaver:
    """Otto, a manager of the provider, with two sessions, an API key, a deleted one, two support
    grants and one that is over; he is in the customer's organization. A colleague has one each."""

    def __init__(self, service: MembershipService) -> None:
        self.support: SupportSetup = support_setup(service)
        self.service, support = service, self.support
        at = support.provider_id
        self.id, token = support.member(OTTO, role="admin", at=at)
        self.path = f"/v1/organizations/{at}/members/{self.id}"
        self.key = self.make_key("Sync", token)
        self.make_key("Other", support.boss)
        deleted = self.make_key("Deleted", token)["id"]
        support.call("DELETE", f"/v1/api-keys/{deleted}", token=token)
        over = support.request(token=token).json["id"]
        support.call("DELETE", f"{support.grants_path}/{over}", token=token)
        self.grant = support.request(token=token).json["id"]
        support.request(token=token, access="read")
        self.others = support.request().json["id"]
        self.inside = support.enter(self.grant, token=token).json["access_token"]
        self.token = service.log_in(OTTO)["access_token"]

    def make_key(self, name: str, token: str) -> dict[str, str]:
        body = {"name": name, "scopes": ["cust:read"]}
        made = self.support.call("POST", "/v1/api-keys", body, token=token)
        assert made.status_code == 201, made.text
        return dict(made.json)

    def left_behind(self) -> dict[str, int]:
        answer = self.support.call("GET", f"{self.path}/left-behind", token=self.support.boss)
        assert answer.status_code == 200, answer.text
        return dict(answer.json)

    def ended(self) -> None:
        """Nothing of his works any longer, and all of the colleague's does."""
        assert self.service.is_revoked(self.token) and self.service.is_revoked(self.inside)
        refused = self.support.call("POST", "/v1/sessions", {"api_key": self.key["api_key"]})
        assert (refused.status_code, refused.json["code"]) == (401, "key_suspended")
        with self.service.database.reading() as session:
            open_ = select(SupportGrant.id).where(SupportGrant.status == "active")
            assert list(session.scalars(open_)) == [self.others]
        rows = self.support.rows("support.ended")[1:]
        assert [(row.actor["kind"], row.reason) for row in rows] == [
            ("system", "forced_by_provider")
        ] * 2


@pytest.fixture
def leaver(service: MembershipService) -> Leaver:
    return service.prepared("leaver", lambda: Leaver(service))


def test_disabling_answers_what_is_left_behind(leaver: Leaver) -> None:
    expected = {"keys": 1, "grants": 2, "sessions": 3}
    assert leaver.left_behind() == expected

    answer = leaver.support.call("POST", f"{leaver.path}/disable", token=leaver.support.boss)

    assert answer.status_code == 200 and answer.json["status"] == "disabled"
    assert answer.json["left_behind"] == expected
    leaver.ended()
    assert leaver.left_behind() == NOTHING
    again = leaver.support.call("POST", f"{leaver.path}/disable", token=leaver.support.boss)
    assert again.json["left_behind"] == NOTHING


def test_removing_ends_the_same(leaver: Leaver) -> None:
    removed = leaver.support.call("DELETE", leaver.path, token=leaver.support.boss)

    assert removed.status_code == 204
    leaver.ended()


def test_who_leaves_ends_the_same(leaver: Leaver) -> None:
    path = f"/v1/me/memberships/{leaver.support.provider_id}"

    assert leaver.support.call("DELETE", path, token=leaver.token).status_code == 204

    leaver.ended()


def test_members_without_login_leave_nothing(service: MembershipService) -> None:
    support = support_setup(service)
    members = f"/v1/organizations/{support.provider_id}/members"
    desk = {"name": "Desk", "portal_access": False}
    at = f"{members}/{support.call('POST', members, desk, token=support.boss).json['id']}"
    support.request()

    assert support.call("GET", f"{at}/left-behind", token=support.boss).json == NOTHING
    disabled = support.call("POST", f"{at}/disable", token=support.boss)

    assert disabled.json["left_behind"] == NOTHING
    with service.database.reading() as session:
        assert list(session.scalars(select(SupportGrant.status))) == ["active"]


def test_it_is_counted_in_one_statement(leaver: Leaver) -> None:
    with counted(leaver.service.database) as statements:
        leaver.left_behind()

    assert len([text for text in statements if "support_grants" in text]) == 1
    assert len([text for text in statements if "sessions" in text]) == 1
