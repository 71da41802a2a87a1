"""How many invitations an organization may send: its limits are its own, and an address is never
flooded."""

from datetime import timedelta

import pytest
from chassis.runtime import ids
from contracts import org
from membership.values import attempt_limits
from membership.values.attempt_limits import Limit

MIA, OLGA, PAUL = "mia@customer.example", "olga@customer.example", "paul@second.example"


class Setup:
    """Two customers of one provider, and one of another. Their owners are signed in, and so is the
    provider's."""

    def __init__(self, service):
        self.service = service
        self.staff = service.provider()
        self.provider_id = service.claims(self.staff)["org"]
        self.acme = service.owner(OLGA, provider_id=self.provider_id)
        self.second = service.owner(PAUL, provider_id=self.provider_id)
        self.foreign = service.owner("fred@foreign.example", provider_id=ids.new("org"))

    def add(self, to, address=MIA, token=""):
        """Add somebody by the owner, or with another token."""
        body = {"name": "Mia", "portal_access": True, "role": "member", "email": address}
        organization_id, owner = to
        path = f"/v1/organizations/{organization_id}/members"
        return self.service.call("POST", path, body, token=token or owner)

    def remove(self, to, member_id):
        path = f"/v1/organizations/{to[0]}/members/{member_id}"
        assert self.service.call("DELETE", path, token=to[1]).status_code == 204

    def rounds(self, to, count=10):
        """Add and remove somebody again and again."""
        for _ in range(count):
            added = self.add(to)
            assert added.status_code == 201, added.text
            self.remove(to, added.json["id"])

    def choose(self, invitations_per_hour, version=1):
        settings = {"invitations_per_hour": invitations_per_hour}
        self.service.receive(
            org.SettingsChanged(provider_id=self.provider_id, version=version, settings=settings)
        )

    def open(self, count, address="owner{}@new.example"):
        for n in range(count):
            self.service.customer(
                address.format(n), provider_id=self.provider_id, name=f"Customer {n}"
            )

    def invited(self):
        """How many links to new owners have been sent by now."""
        return sum("@new.example" in mail["To"] for mail in self.service.send_mails())


@pytest.fixture
def setup(service):
    return service.prepared("invitation limits", lambda: Setup(service))


def refused(answer, words):
    assert (answer.status_code, answer.json["code"]) == (429, "too_many_mails"), answer.text
    assert words in answer.json["detail"] and int(answer.headers["Retry-After"]) > 0
    return True


def test_one_tenants_rounds_of_adding_and_removing_stop_no_other_tenant(setup):
    resent = setup.add(setup.second).json["id"]
    setup.rounds(setup.acme)
    assert refused(setup.add(setup.acme), "ten links to this address")

    assert setup.add(setup.foreign).status_code == 201
    setup.service.clock.advance(seconds=61)
    path = f"/v1/organizations/{setup.second[0]}/members/{resent}/resend-verification"
    assert setup.service.call("POST", path, token=setup.second[1]).status_code == 200
    assert setup.add(setup.acme, token=setup.staff).status_code == 201, "by staff"
    own = {"email": MIA, "password": "four calm otters drift"}
    assert setup.service.call("PATCH", "/v1/me", own, token=setup.second[1]).status_code == 200


def test_links_to_people_who_were_removed_and_erased_still_count(setup):
    setup.rounds(setup.acme)
    assert refused(setup.add(setup.acme), "ten links to this address")
    assert setup.add(setup.acme, "max@customer.example").status_code == 201


def test_what_was_refused_does_not_count_however_often_it_is_tried(setup):
    member_id = setup.add(setup.acme).json["id"]
    path = f"/v1/organizations/{setup.acme[0]}/members/{member_id}"
    for step in ("disable", "enable") * 15:
        assert setup.service.call("POST", f"{path}/{step}", token=setup.acme[1]).status_code == 200
    resend = f"{path}/resend-verification"
    setup.service.clock.advance(minutes=2)
    assert refused(setup.service.call("POST", resend, token=setup.acme[1]), "six links")
    setup.service.clock.advance(days=1)
    owner = setup.service.log_in(OLGA)["access_token"]
    assert setup.service.call("POST", resend, token=owner).status_code == 200


def test_the_links_of_a_providers_tenants_to_one_address_are_limited_together(setup, monkeypatch):
    monkeypatch.setattr(attempt_limits, "PROVIDERS_LINKS_TO_ADDRESS", Limit(3, timedelta(days=1)))
    setup.rounds(setup.acme, 2)
    assert setup.add(setup.second).status_code == 201
    assert refused(setup.add(setup.acme, token=setup.staff), "A provider and its customers")
    assert setup.add(setup.foreign).status_code == 201


def test_staff_invite_across_all_customers_as_often_as_their_provider_chooses(setup):
    for n in range(21):
        to = (setup.acme, setup.second)[n % 2]
        assert setup.add(to, f"m{n}@customer.example", setup.staff).status_code == 201
    setup.choose(21)
    assert refused(setup.add(setup.second, token=setup.staff), "invitations_per_hour")
    assert setup.add(setup.second).status_code == 201, "by the customer itself"
    setup.choose(22, version=2)
    assert setup.add(setup.acme, token=setup.staff).status_code == 201, "at once"
    assert refused(setup.add((setup.provider_id, setup.staff)), "invitations_per_hour")


def test_many_new_customers_owners_are_invited_one_hours_share_after_the_other(setup):
    setup.choose(4)  # two have been invited to begin with
    setup.open(8)
    assert setup.invited() == 2
    assert setup.add(setup.acme, token=setup.staff).status_code == 201, "counted separately"
    for expected in (6, 8):
        setup.service.clock.advance(hours=1, seconds=1)
        assert setup.invited() == expected


def test_owners_who_wait_are_invited_at_the_pace_that_the_provider_chooses_meanwhile(setup):
    setup.choose(4)  # two have been invited to begin with
    setup.open(20)
    assert setup.invited() == 2
    setup.choose(6, version=2)
    assert setup.invited() == 4, "two more of this hour"
    setup.service.clock.advance(hours=1, seconds=1)
    assert setup.invited() == 10
    setup.choose(3, version=3)
    setup.service.clock.advance(hours=1, seconds=1)
    assert setup.invited() == 13, "fewer, too"
    setup.open(1, "late@new.example")
    setup.choose(10_000, version=4)
    assert setup.invited() == 21, "all at once, the last one included"
    setup.open(1, "last@new.example")
    assert setup.invited() == 22


def test_a_raised_limit_does_not_flood_an_address(setup, monkeypatch):
    monkeypatch.setattr(attempt_limits, "PROVIDERS_LINKS_TO_ADDRESS", Limit(3, timedelta(days=1)))
    setup.choose(4)
    setup.open(6, "one@new.example")
    setup.open(3)
    assert setup.invited() == 2
    setup.choose(500, version=2)
    assert setup.invited() == 6, "three to the one, and three to others"
    setup.service.clock.advance(days=1, seconds=1)
    assert setup.invited() == 9


def test_a_change_of_other_settings_leaves_those_who_wait_alone(setup):
    setup.choose(4)
    setup.open(8)
    for version in (2, 3):
        setup.choose(4, version=version)
    assert setup.invited() == 2
    setup.service.clock.advance(hours=1, seconds=1)
    assert setup.invited() == 6


def test_an_address_that_owns_many_new_customers_is_not_flooded(setup, monkeypatch):
    monkeypatch.setattr(attempt_limits, "PROVIDERS_LINKS_TO_ADDRESS", Limit(3, timedelta(days=1)))
    setup.open(4, "one@new.example")
    setup.open(1)
    assert setup.invited() == 4, "three to the one, and one to another"
    setup.service.clock.advance(days=1, seconds=1)
    assert setup.invited() == 5
