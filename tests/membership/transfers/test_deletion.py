"""Transfers of an organization that is deleted."""

from datetime import timedelta

from chassis.runtime import clock, ids
from contracts import org
from membership import models
from sqlalchemy import update

from tests.membership.transfers.conftest import HOURS, MIA, code


def test_a_deletion_cancels_an_offer_permanently(setup, service):
    offer = setup.offer()
    for _ in range(2):
        service.receive(org.EndAccess(organization_id=setup.organization_id, deletion_id="d"))
    assert setup.audited() == [("ownership.offered", "ok"), ("ownership.cancelled", "ok")]
    assert code(setup.call("DELETE", f"/{offer}", token=setup.staff)) == (
        409,
        "organization_closing",
    )
    service.receive(
        org.RestoreAccess(
            organization_id=setup.organization_id, conversation_id="c", suspended=False
        )
    )
    assert code(setup.call("POST", f"/{offer}/accept", token=setup.log_in(MIA))) == (
        410,
        "offer_over",
    )


def test_reasons_are_erased_with_the_members(setup, service):
    setup.at_once()
    service.receive(org.EndAccess(organization_id=setup.organization_id, deletion_id="d"))
    service.receive(org.EraseMembers(organization_id=setup.organization_id, deletion_id="d"))
    [row] = setup.call("GET", token=setup.staff).json["data"]
    assert (row["reason"], row["from"]["name"], row["to"]["name"]) == ("", "Erased", "Erased")


def test_the_closing_check_warns_of_offers_and_support_sessions(setup, service):
    def codes():
        path = f"/internal/organizations/{setup.organization_id}/closing-check"
        answer = service.client.get(path, auth=("org", "org's own"))
        assert answer.status_code == 200 and all(w["detail"] for w in answer.json["warnings"])
        return [w["code"] for w in answer.json["warnings"]]

    assert codes() == []
    setup.offer()
    now = clock.now()
    inside = {
        "mode": "login_as",
        "access": "full",
        "reason": "r",
        "staff_identity_id": ids.new("idn"),
        "staff_member_id": ids.new("mem"),
        "staff_name": "S",
        "staff_session_id": ids.new("ses"),
        "provider_id": setup.provider_id,
        "started_at": now,
        "expires_at": now + timedelta(minutes=30),
    }
    with service.database.transaction() as session:
        session.add(
            models.ActingSession(id=ids.new("ses"), organization_id=setup.organization_id, **inside)
        )
    assert codes() == ["pending_transfer", "acting_session"]
    service.clock.advance(minutes=31)
    assert codes() == ["pending_transfer"]
    with service.database.transaction() as session:
        session.execute(
            update(models.ActingSession).values(expires_at=clock.now() + timedelta(hours=1))
        )
    assert codes() == ["pending_transfer", "acting_session"]
    with service.database.transaction() as session:
        session.execute(update(models.ActingSession).values(ended_at=clock.now()))
    service.clock.advance(hours=HOURS)
    assert codes() == []
