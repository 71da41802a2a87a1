"""Where a customer manages itself, its provider makes nobody an admin and cannot take it over."""

from collections.abc import Callable

import pytest
from membership.models import Member

from tests.membership.conftest import MembershipService
from tests.membership.managed_customers import ADMIN, Managed, managed
from tests.membership.support_setup import texts


@pytest.fixture
def acme(service: MembershipService) -> Managed:
    return managed(service, "customer")


@pytest.fixture
def theirs(service: MembershipService) -> Managed:
    """A customer that its provider manages."""
    return managed(service, "provider")


def test_the_provider_gives_nobody_power(acme: Managed) -> None:
    before, tokens = acme.rows(), acme.of_the_provider()

    refused = {
        (who, what): acme.ask(*attempt, token)
        for who, token in tokens.items()
        for what, attempt in acme.attempts().items()
    }

    outcomes = {which: (r.status_code, r.json["code"]) for which, r in refused.items()}
    assert set(outcomes.values()) == {(403, "customer_managed")}, outcomes
    assert acme.rows() == before


def test_the_provider_may_do_the_rest(acme: Managed) -> None:
    adam, mike = f"{acme.members}/{acme.adam}", f"{acme.members}/{acme.mike}"
    with_token = {
        "name": ("PATCH", adam, {"name": "Adam Admin", "email": "adam@customer.example"}),
        "move a member": ("PATCH", mike, {"email": "mike@elsewhere.example"}),
        "resend": ("POST", f"{mike}/resend-verification", None),
        "demote": ("PATCH", adam, {"role": "member"}),
        "disable": ("POST", f"{adam}/disable", None),
        "enable a member": ("POST", f"{adam}/enable", None),
    }

    for what, attempt in with_token.items():
        acme.service.clock.advance(seconds=61)
        done = acme.ask(*attempt, acme.support.fresh())
        assert done.status_code == 200, (what, done.text)
    nils = {"role": "member", "portal_access": True, "token": acme.support.fresh()}
    acme.add("nils@customer.example", **nils)


def test_its_own_owner_gives_people_power(acme: Managed) -> None:
    attempts = acme.attempts()

    for what in ("add an admin", "raise", "enable"):
        assert acme.ask(*attempts[what], acme.support.owner).status_code in (200, 201), what


def test_the_provider_does_not_transfer_the_ownership_at_once(acme: Managed) -> None:
    acme.joined(acme.adam, "adam@customer.example")
    body = {"member_id": acme.adam, "reason": "the owner left"}

    refused = acme.ask("POST", acme.transfers, body, acme.support.staff)
    assert (refused.status_code, refused.json["code"]) == (403, "customer_managed")
    later = acme.ask("POST", acme.transfers, body, acme.support.boss)
    assert (later.status_code, later.json["status"]) == (201, "scheduled")

    assert (acme.olga, "owner") in {(row[0], row[1]) for row in acme.rows()}


def test_the_provider_does_not_undo_a_transfer_from_before(theirs: Managed) -> None:
    theirs.joined(theirs.adam, "adam@customer.example")
    body = {"member_id": theirs.adam, "reason": "the owner left"}
    transfer = theirs.ask("POST", theirs.transfers, body, theirs.support.boss).json["id"]
    theirs.managed_by("customer")

    refused = theirs.ask("DELETE", f"{theirs.transfers}/{transfer}", None, theirs.support.boss)

    assert (refused.status_code, refused.json["code"]) == (403, "customer_managed")
    assert (theirs.adam, "owner") in {(row[0], row[1]) for row in theirs.rows()}


def test_the_preset_support_gives_nobody_power_anywhere(theirs: Managed) -> None:
    before, sue = theirs.rows(), theirs.of_the_provider()["support"]

    refused = {what: theirs.ask(*attempt, sue) for what, attempt in theirs.attempts().items()}

    outcomes = {what: (r.status_code, r.json["code"]) for what, r in refused.items()}
    assert set(outcomes.values()) == {(403, "forbidden")}, outcomes
    assert theirs.rows() == before
    rename = ("PATCH", f"{theirs.members}/{theirs.adam}", {"name": "Adam Admin"})
    assert theirs.ask(*rename, sue).status_code == 200


def test_the_owner_is_notified_of_every_admin_whom_staff_add(theirs: Managed) -> None:
    boss, mike, desk = theirs.support.boss, theirs.mike, theirs.desk
    known = len(theirs.service.send_mails())

    theirs.add("ann@customer.example", token=boss, **ADMIN)
    theirs.ask("PATCH", f"{theirs.members}/{mike}", {"role": "admin"}, boss)
    access = {**ADMIN, "email": "desk@customer.example"}
    theirs.ask("PATCH", f"{theirs.members}/{desk}", access, boss)
    theirs.add("bob@customer.example", token=boss, role="member", portal_access=True)
    theirs.add("eve@customer.example", **ADMIN)
    theirs.ask("POST", f"{theirs.members}/{theirs.dora}/enable", None, boss)

    mails = [m for m in theirs.service.send_mails()[known:] if m["To"] == "olga@customer.example"]
    added = ("ann@customer.example", "mike@customer.example", "desk@customer.example")
    assert len(mails) == 3
    for address, text in zip(added, texts(mails), strict=True):
        assert address in text and "admin" in text and "Acme Ltd" in text
    assert theirs.support.staff_details_in(*texts(mails)) == []


# --- consent

NOT_CONFIRMED = (403, "confirmation_required")
CONSENTED = (200, "active")
SPY = "spy@provider.example"


def _added(theirs: Managed) -> tuple[str, str]:
    return theirs.add(SPY, token=theirs.support.boss, **ADMIN), SPY


def _raised(theirs: Managed) -> tuple[str, str]:
    path = f"{theirs.members}/{theirs.mike}"
    theirs.ask("PATCH", path, {"role": "admin"}, theirs.support.boss)
    return theirs.mike, "mike@customer.example"


def _moved(theirs: Managed) -> tuple[str, str]:
    path = f"{theirs.members}/{theirs.adam}"
    theirs.ask("PATCH", path, {"email": SPY}, theirs.support.boss)
    return theirs.adam, SPY


def _added_as_a_member_and_raised_by_the_owner(theirs: Managed) -> tuple[str, str]:
    member = {"role": "member", "portal_access": True}
    spy = theirs.add(SPY, token=theirs.support.boss, **member)
    theirs.ask("PATCH", f"{theirs.members}/{spy}", {"role": "admin"}, theirs.support.owner)
    return spy, SPY


def _by_a_key(theirs: Managed) -> tuple[str, str]:
    return theirs.add(SPY, token=theirs.of_the_provider()["k"], **ADMIN), SPY


@pytest.mark.parametrize(
    "admitted", [_added, _raised, _moved, _added_as_a_member_and_raised_by_the_owner, _by_a_key]
)
def test_an_admin_whom_staff_admitted_consents_only_once_confirmed(
    theirs: Managed, admitted: Callable[[Managed], tuple[str, str]]
) -> None:
    spy, address = admitted(theirs)
    token, path = theirs.joined(spy, address), f"{theirs.members}/{spy}/confirm"
    theirs.managed_by("customer")

    assert not theirs.confirmed(spy)
    assert theirs.consent(token) == NOT_CONFIRMED
    assert theirs.ask("POST", path, None, token).status_code == 403
    assert theirs.ask("POST", path, None, theirs.support.fresh()).status_code == 403
    confirmed = theirs.ask("POST", path, None, theirs.support.owner)

    assert (confirmed.status_code, confirmed.json["confirmed"]) == (200, True)
    assert theirs.consent(token) == CONSENTED
    assert theirs.support.rows("member.confirmed")[0].actor["kind"] == "member"


def test_an_admin_whom_the_owner_added_consents(acme: Managed) -> None:
    token = acme.joined(acme.adam, "adam@customer.example")

    assert acme.confirmed(acme.adam) and acme.confirmed(acme.olga)
    assert acme.consent(token) == CONSENTED


def test_those_who_may_consent_are_asked(theirs: Managed) -> None:
    spy, _ = _added(theirs)
    theirs.joined(spy, SPY)
    theirs.joined(theirs.adam, "adam@customer.example")
    theirs.managed_by("customer")

    theirs.support.request(token=theirs.support.fresh())

    addresses = [m["To"] for m in theirs.service.send_mails() if "requests access" in m["Subject"]]
    assert sorted(addresses) == ["adam@customer.example", "olga@customer.example"]


def test_an_undo_link_takes_no_confirmation_along(theirs: Managed) -> None:
    spy, _ = _added(theirs)
    theirs.joined(spy, SPY)
    path, owner = f"{theirs.members}/{spy}", theirs.support.owner
    theirs.ask("PATCH", path, {"email": "ann@customer.example"}, owner)
    assert theirs.ask("POST", f"{path}/confirm", None, owner).json["confirmed"] is True
    undo = theirs.undo_link()

    assert theirs.support.call("POST", f"/v1/verifications/{undo}", {}).status_code == 201

    assert not theirs.confirmed(spy)


def test_an_undo_link_gives_back_what_staff_took(theirs: Managed) -> None:
    theirs.joined(theirs.adam, "adam@customer.example")
    _moved(theirs)
    undo = theirs.undo_link()
    theirs.service.accept(SPY)
    assert not theirs.confirmed(theirs.adam)

    theirs.support.call("POST", f"/v1/verifications/{undo}", {})

    assert theirs.confirmed(theirs.adam)


def test_an_owner_whom_staff_appointed_is_no_confirmed_admin_afterwards(theirs: Managed) -> None:
    for member_id, address in ((theirs.adam, "adam@"), (theirs.mike, "mike@")):
        theirs.joined(member_id, f"{address}customer.example")
    for member_id in (theirs.mike, theirs.adam):
        body = {"member_id": member_id, "reason": "a change"}
        done = theirs.ask("POST", theirs.transfers, body, theirs.support.boss)
        assert done.status_code == 201

    with theirs.service.database.reading() as session:
        mike = session.get_one(Member, theirs.mike)
        assert mike.role == "admin" and not mike.confirmed


def test_nobody_confirms_while_staff_act_or_in_place_of_the_provider(theirs: Managed) -> None:
    spy, _ = _added(theirs)
    acting = theirs.support.login_as(theirs.olga).json["access_token"]
    path = f"{theirs.members}/{spy}/confirm"

    assert theirs.ask("POST", path, None, acting).status_code == 403
    at_home = f"/v1/organizations/{theirs.support.provider_id}/members/{theirs.helper}/confirm"
    assert theirs.ask("POST", at_home, None, theirs.support.boss).status_code == 403
    elsewhere = f"/v1/organizations/{theirs.support.organization_id}/members/{theirs.helper}"
    assert theirs.ask("POST", f"{elsewhere}/confirm", None, theirs.support.owner).status_code == 404
    assert not theirs.confirmed(spy)


# --- Login As


def test_login_as_needs_a_consented_grant(acme: Managed) -> None:
    refused = acme.support.login_as(acme.olga)
    grant = acme.support.request().json["id"]
    still_refused = acme.support.login_as(acme.olga)
    path = f"{acme.support.grants_path}/{grant}"
    acme.ask("POST", f"{path}/approve", {}, acme.support.owner)
    begun = acme.support.login_as(acme.olga)

    assert (refused.status_code, refused.json["code"]) == (409, "consent_required")
    assert (still_refused.status_code, still_refused.json["code"]) == (409, "consent_required")
    assert (begun.status_code, begun.json["act"]["grant"]) == (201, grant)
    acme.ask("DELETE", path, None, acme.support.owner)
    assert acme.service.is_revoked(begun.json["access_token"])
    again = acme.support.login_as(acme.olga)
    assert (again.status_code, again.json["code"]) == (409, "consent_required")


def test_login_as_is_no_wider_and_no_longer_than_its_grant(acme: Managed) -> None:
    grant = acme.support.request(minutes=5, access="read").json["id"]
    acme.ask("POST", f"{acme.support.grants_path}/{grant}/approve", {}, acme.support.owner)

    begun = acme.support.login_as(acme.olga).json

    assert begun["act"]["access"] == "read" and begun["expires_in"] <= 300
    assert {scope.rpartition(":")[2] for scope in begun["scopes"]} == {"read"}
    rename = ("PATCH", f"{acme.members}/{acme.mike}", {"name": "Mike M"})
    assert acme.ask(*rename, begun["access_token"]).status_code == 403


def test_login_as_sessions_end_when_the_customer_begins_to_manage_itself(theirs: Managed) -> None:
    acting = theirs.support.login_as(theirs.olga).json["access_token"]
    assert theirs.support.acting_sessions()[0].grant_id is None

    theirs.managed_by("customer")

    assert theirs.service.is_revoked(acting)
    assert theirs.support.end_reasons() == ["organization_changed"]
    refused = theirs.support.login_as(theirs.olga)
    assert (refused.status_code, refused.json["code"]) == (409, "consent_required")


def test_a_change_of_the_name_ends_no_session(theirs: Managed) -> None:
    acting = theirs.support.login_as(theirs.olga).json["access_token"]

    theirs.managed_by("provider", name="Acme Holding")

    assert not theirs.service.is_revoked(acting)
