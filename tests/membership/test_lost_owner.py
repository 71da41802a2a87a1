"""The owner of a customer that manages itself is lost: its provider's owner replaces them, unless
the owner or an admin stops that within 72 hours."""

from typing import Any

import pytest
from chassis.runtime import clock
from contracts import org
from membership import jobs

from tests.membership.conftest import MembershipService
from tests.membership.managed_customers import Managed, managed
from tests.membership.support_setup import texts

MIKE, ADAM, OLGA = (f"{name}@customer.example" for name in ("mike", "adam", "olga"))


class Lost:
    """A customer that manages itself, with an owner, two admins (one disabled) and Mike, who is to
    be the owner."""

    def __init__(self, acme: Managed) -> None:
        self.acme, self.service, self.support = acme, acme.service, acme.support
        self.mike = acme.joined(acme.mike, MIKE)
        self.adam = acme.joined(acme.adam, ADAM)

    def boss(self) -> str:
        token: str = self.service.log_in("admin@example.com")["access_token"]
        return token

    def start(self, token: str = "", member_id: str = "") -> Any:
        body = {"member_id": member_id or self.acme.mike, "reason": "the owner died"}
        return self.acme.ask("POST", self.acme.transfers, body, token or self.boss())

    def started(self) -> str:
        answer = self.start()
        assert answer.status_code == 201, answer.text
        return f"{self.acme.transfers}/{answer.json['id']}"

    def owner(self) -> str:
        shown = self.acme.ask("GET", f"{self.acme.members}?role=owner", None, self.boss())
        return str(shown.json["data"][0]["id"])

    def status(self) -> str:
        shown = self.acme.ask("GET", self.acme.transfers, None, self.boss())
        return str(shown.json["data"][0]["status"])

    def run_job(self) -> int:
        return jobs.expire_offers(self.service.database, clock.now(), self.service.settings)


@pytest.fixture
def lost(service: MembershipService) -> Lost:
    return service.prepared("lost", lambda: Lost(managed(service, "customer")))


def test_it_takes_effect_after_72_hours(lost: Lost) -> None:
    started = lost.start()
    lost.service.clock.advance(hours=72, seconds=-60)
    early = lost.run_job(), lost.owner()
    lost.service.clock.advance(seconds=60)

    assert (started.status_code, started.json["status"]) == (201, "scheduled")
    assert started.json["takes_effect_at"] > started.json["created_at"]
    assert early == (0, lost.acme.olga)
    assert (lost.run_job(), lost.run_job()) == (1, 0)
    assert (lost.owner(), lost.status()) == (lost.acme.mike, "completed")
    undo = lost.acme.ask("GET", lost.acme.transfers, None, lost.boss()).json["data"][0]
    assert (undo["undo_until"], undo["takes_effect_at"]) == (None, None)


def test_only_the_providers_owner_starts_it(lost: Lost) -> None:
    staff = lost.acme.of_the_provider()

    assert lost.start(staff["manager"]).json["code"] == "customer_managed"
    for token in (staff["support"], staff["k"], lost.adam):
        assert lost.start(token).status_code == 403
    assert lost.owner() == lost.acme.olga


def test_the_owner_and_the_admins_are_notified(lost: Lost) -> None:
    known = len(lost.service.send_mails())
    lost.started()

    mails = [m for m in lost.service.send_mails()[known:] if "/undo/" in m.get_content()]
    assert sorted(m["To"] for m in mails) == [ADAM, OLGA]
    for text in texts(mails):
        assert "Acme Ltd" in text and "Mike" in text and "the owner died" in text


@pytest.mark.parametrize("who", ["owner", "admin", "provider"])
def test_each_of_them_stops_it(lost: Lost, who: str) -> None:
    path = lost.started()
    token = {"owner": lost.support.owner, "admin": lost.adam, "provider": lost.boss()}[who]

    assert lost.acme.ask("DELETE", path, None, lost.mike).status_code == 403
    stopped = lost.acme.ask("DELETE", path, None, token)

    assert (stopped.status_code, stopped.json["status"]) == (200, "cancelled")
    lost.service.clock.advance(hours=73)
    assert (lost.run_job(), lost.owner()) == (0, lost.acme.olga)


def test_the_mailed_link_stops_it(lost: Lost) -> None:
    lost.started()
    path = f"/v1/verifications/{lost.acme.undo_link()}"

    shown = lost.service.call("GET", path)
    assert (shown.status_code, shown.json["purpose"]) == (200, "stop_transfer")
    assert lost.status() == "scheduled", "reading it stops nothing"
    assert lost.service.call("POST", path, {}).status_code == 201

    assert lost.status() == "cancelled"
    assert lost.service.call("POST", path, {}).status_code == 410
    lost.service.clock.advance(hours=73)
    assert (lost.run_job(), lost.owner()) == (0, lost.acme.olga)


def test_a_link_stops_nothing_once_its_reader_is_no_admin(lost: Lost) -> None:
    lost.started()
    (link,) = (
        mail.get_content().partition("/undo/")[2].split()[0]
        for mail in lost.service.send_mails()
        if mail["To"] == ADAM and "/undo/" in mail.get_content()
    )
    demote = ("PATCH", f"{lost.acme.members}/{lost.acme.adam}", {"role": "member"})
    lost.acme.ask(*demote, lost.support.owner)

    assert lost.service.call("POST", f"/v1/verifications/{link}", {}).status_code == 410
    assert lost.status() == "scheduled"


WAYS = pytest.mark.parametrize(
    ("method", "rest", "body"),
    [
        ("POST", "/disable", None),
        ("DELETE", "", None),
        ("PATCH", "", {"role": "member"}),
        ("PATCH", "", {"portal_access": False}),
    ],
    ids=["disable", "remove", "demote", "take the login"],
)


@WAYS
def test_the_provider_takes_the_right_to_stop_it_from_nobody(
    lost: Lost, method: str, rest: str, body: Any
) -> None:
    path = lost.started()
    admin = f"{lost.acme.members}/{lost.acme.adam}"

    refused = lost.acme.ask(method, admin + rest, body, lost.boss())

    assert (refused.status_code, refused.json["code"]) == (409, "transfer_scheduled")
    assert lost.acme.ask("DELETE", path, None, lost.adam).status_code == 200
    assert lost.acme.ask(method, admin + rest, body, lost.boss()).status_code in (200, 204)


@WAYS
def test_the_provider_schedules_none_for_30_days_after_it_took_the_right_to_stop_it(
    lost: Lost, method: str, rest: str, body: Any
) -> None:
    lost.service.clock.stop()
    path = f"{lost.acme.members}/{lost.acme.adam}{rest}"
    assert lost.acme.ask(method, path, body, lost.boss()).status_code in (200, 204)

    refused = lost.start()
    lost.service.clock.advance(days=30, microseconds=-1)
    late = lost.start()
    lost.service.clock.advance(microseconds=1)

    for answer in (refused, late):
        assert (answer.status_code, answer.json["code"]) == (409, "admins_changed")
        assert answer.json["possible_at"] > clock.stamp(clock.now())[:10]
    assert lost.started()


def test_it_counts_from_before_the_customer_managed_itself_and_for_keys(
    service: MembershipService,
) -> None:
    theirs = Lost(managed(service, "provider"))
    key = theirs.acme.of_the_provider()["k"]
    path = f"{theirs.acme.members}/{theirs.acme.adam}"
    assert theirs.acme.ask("POST", f"{path}/disable", None, key).status_code == 200
    theirs.acme.managed_by("customer")
    assert theirs.start().json["code"] == "admins_changed"


def test_it_counts_if_the_provider_moved_an_admin_to_another_address(
    service: MembershipService,
) -> None:
    theirs = Lost(managed(service, "provider"))
    path, body = f"{theirs.acme.members}/{theirs.acme.adam}", {"email": "mine@provider.example"}
    assert theirs.acme.ask("PATCH", path, body, theirs.boss()).status_code == 200
    theirs.acme.managed_by("customer")
    assert theirs.start().json["code"] == "admins_changed"


def test_what_takes_the_right_from_nobody_does_not_count(lost: Lost) -> None:
    members, boss = lost.acme.members, lost.boss()
    for method, path, body, token in (
        ("POST", f"{members}/{lost.acme.adam}/disable", None, lost.support.owner),
        ("DELETE", f"{members}/{lost.acme.adam}", None, boss),
        ("DELETE", f"{members}/{lost.acme.dora}", None, boss),
        ("POST", f"{members}/{lost.acme.mike}/disable", None, boss),
        ("POST", f"{members}/{lost.acme.mike}/enable", None, boss),
    ):
        assert lost.acme.ask(method, path, body, token).status_code in (200, 204), path
    assert lost.started()


def test_one_change_at_a_time(lost: Lost) -> None:
    lost.started()

    for again in (lost.start(), lost.start(lost.support.owner)):
        assert (again.status_code, again.json["code"]) == (409, "transfer_pending")


def test_the_owners_offer_is_no_lost_owners(lost: Lost) -> None:
    assert lost.start(lost.support.owner).json["status"] == "offered"

    assert lost.start().json["code"] == "transfer_pending"


def test_an_admin_stops_no_offer_of_the_owner(lost: Lost) -> None:
    offer = lost.start(lost.support.owner).json["id"]

    refused = lost.acme.ask("DELETE", f"{lost.acme.transfers}/{offer}", None, lost.adam)

    assert refused.status_code == 403


def test_a_suspension_cancels_it(lost: Lost) -> None:
    """Nobody could stop it meanwhile."""
    lost.started()
    organization = {
        "organization_id": lost.support.organization_id,
        "provider_id": lost.support.provider_id,
    }
    lost.service.receive(org.OrganizationSuspended(**organization))

    assert lost.status() == "cancelled"
    refused = lost.start()
    assert (refused.status_code, refused.json["code"]) == (409, "organization_not_active")


def test_a_new_owner_who_has_left_meanwhile_becomes_none(lost: Lost) -> None:
    lost.started()
    gone = ("DELETE", f"{lost.acme.members}/{lost.acme.mike}", None)
    assert lost.acme.ask(*gone, lost.support.owner).status_code == 204
    lost.service.clock.advance(hours=73)

    assert (lost.run_job(), lost.run_job()) == (1, 0)
    assert (lost.owner(), lost.status()) == (lost.acme.olga, "expired")
