"""Ownership that an owner offers and a member accepts."""

from datetime import timedelta

from chassis.runtime import clock
from contracts import membership as messages
from membership import jobs

from tests.membership.transfers.conftest import ADAM, HOURS, MIA, OLGA, code


def test_the_owner_offers_and_the_member_accepts(setup):
    service = setup.service
    offer = setup.offer()
    assert setup.owners() == [setup.olga] and not service.is_revoked(setup.owner)
    assert setup.mails(MIA) == ["You've been offered ownership of Acme Ltd"]
    [transfer] = setup.call("GET", token=setup.member).json["data"]
    assert (
        transfer["id"] == offer
        and transfer["undo_until"] is None
        and transfer["expires_at"] > transfer["created_at"]
    )
    taken = setup.call("POST", f"/{offer}/accept", token=setup.member)
    assert (taken.status_code, taken.json["status"], taken.json["by"]) == (
        200,
        "completed",
        "owner",
    )
    assert setup.roles() == {setup.olga: "admin", setup.mia: "owner", setup.adam: "admin"}
    assert service.is_revoked(setup.owner) and service.is_revoked(setup.member)
    assert setup.audited() == [("ownership.offered", "ok"), ("ownership.accepted", "ok")]
    assert code(setup.call("POST", f"/{offer}/accept", token=setup.member)) == (410, "offer_over")
    owner = setup.log_in(MIA)
    assert code(setup.call("DELETE", f"/{offer}", token=owner)) == (410, "undo_over")
    assert code(setup.call("DELETE", f"/{offer}", token=setup.staff)) == (410, "undo_over")


def test_only_the_member_can_accept(setup):
    offer = setup.offer()
    for token in (setup.owner, setup.admin, setup.staff):
        assert code(setup.call("POST", f"/{offer}/accept", token=token)) == (403, "forbidden")
    assert setup.owners() == [setup.olga]


def test_the_target_accepts_as_a_member_of_the_customer_not_as_staff(setup):
    service = setup.service
    person = "max@provider.example"
    setup.joined(person, organization_id=setup.provider_id, preset="manager")
    staff = setup.log_in(person)
    path = f"/v1/organizations/{setup.organization_id}/members"
    body = {"name": "Max", "portal_access": True, "role": "member", "email": person}
    max_id = service.call("POST", path, body, token=setup.owner).json["id"]
    service.accept(person)
    offer = setup.offer(max_id)
    assert code(setup.call("POST", f"/{offer}/accept", token=staff)) == (403, "forbidden")
    inside = service.log_in(person, organization_id=setup.organization_id)["access_token"]
    assert setup.call("POST", f"/{offer}/accept", token=inside).status_code == 200


def test_one_offer_at_a_time_until_it_is_cancelled(setup):
    first = setup.offer()
    second = setup.transfer(setup.adam)
    assert code(second) == (409, "transfer_pending") and second.json["transfer_id"] == first
    cancelled = setup.call("DELETE", f"/{first}")
    assert (cancelled.status_code, cancelled.json["status"]) == (200, "cancelled")
    assert code(setup.call("POST", f"/{first}/accept", token=setup.member)) == (410, "offer_over")
    assert code(setup.call("DELETE", f"/{first}")) == (410, "offer_over")
    setup.offer(setup.adam)
    assert [row["status"] for row in setup.call("GET").json["data"]] == ["offered", "cancelled"]
    assert setup.audited() == [
        (f"ownership.{what}", "ok") for what in ("offered", "cancelled", "offered")
    ]


def test_an_offer_is_valid_for_72_hours_to_the_microsecond(setup, service, monkeypatch):
    begun = clock.now()
    with monkeypatch.context() as still:
        still.setattr(clock, "now", lambda: begun)
        offer = setup.offer()
    service.clock.advance(hours=HOURS)
    member = setup.log_in(MIA)
    over = begun + timedelta(hours=HOURS)
    with monkeypatch.context() as still:
        still.setattr(clock, "now", lambda: over)
        assert setup.call("GET", token=member).json["data"][0]["status"] == "expired"
        assert code(setup.call("POST", f"/{offer}/accept", token=member)) == (410, "offer_over")
        still.setattr(clock, "now", lambda: over - timedelta(microseconds=1))
        assert setup.call("GET", token=member).json["data"][0]["status"] == "offered"
        assert setup.call("POST", f"/{offer}/accept", token=member).status_code == 200


def test_a_job_expires_offers(setup, service):
    setup.offer()
    assert jobs.expire_offers(service.database, clock.now(), service.settings) == 0
    later = clock.now() + timedelta(hours=HOURS)
    assert jobs.expire_offers(service.database, later, service.settings) == 1
    assert jobs.expire_offers(service.database, later, service.settings) == 0
    assert setup.audited()[-1] == ("ownership.expired", "ok")
    assert service.published(messages.AuditRecorded)[-1].actor["kind"] == "system"


def test_an_expired_offer_blocks_nothing(setup, service):
    setup.offer()
    service.clock.advance(hours=HOURS)
    owner = setup.log_in(OLGA)
    assert setup.transfer(setup.adam, token=owner).status_code == 201
    assert [row["status"] for row in setup.call("GET", token=owner).json["data"]] == [
        "offered",
        "expired",
    ]
    assert setup.audited()[-2:] == [("ownership.expired", "ok"), ("ownership.offered", "ok")]


def test_staff_do_not_wait_for_an_offer(setup):
    offer = setup.offer()
    first = setup.at_once(setup.adam)
    assert code(setup.call("POST", f"/{offer}/accept", token=setup.member)) == (410, "offer_over")
    assert [r["status"] for r in setup.call("GET", token=setup.staff).json["data"]] == [
        "completed",
        "cancelled",
    ]
    setup.transfer(setup.mia, token=setup.log_in(ADAM))
    assert setup.call("DELETE", f"/{first}", token=setup.staff).status_code == 200
    assert [r["status"] for r in setup.call("GET", token=setup.staff).json["data"]] == [
        "cancelled",
        "undone",
        "cancelled",
    ]
    assert setup.owners() == [setup.olga]


def test_staff_may_cancel_an_offer(setup):
    assert (
        setup.call("DELETE", f"/{setup.offer()}", token=setup.staff).json["status"] == "cancelled"
    )


def test_the_customer_cannot_undo_a_transfer_by_the_provider(setup):
    first = setup.at_once()
    owner = setup.log_in(MIA)
    assert code(setup.call("DELETE", f"/{first}", token=owner)) == (403, "forbidden")
    assert setup.owners() == [setup.mia]


def test_a_token_of_a_former_owner_cannot_transfer(setup):
    setup.at_once()
    assert code(setup.transfer(setup.adam)) == (403, "forbidden")
    offer = setup.transfer(setup.adam, token=setup.log_in(MIA)).json["id"]
    assert code(setup.call("DELETE", f"/{offer}")) == (403, "forbidden")
