"""The list of members, and pages to add, change and remove them."""

import re
from collections.abc import Callable
from datetime import timedelta

from chassis.runtime import clock
from membership.models import Member
from sqlalchemy import update

from tests.console.browser import Browser
from tests.console.people.conftest import members
from tests.console.provider import Customer, Provider
from tests.console.system import Whole

NASTY = '<b>"O\'Hara"</b> & =1+1'


def test_the_member_list_and_its_filters(console: Browser, acme: Customer) -> None:
    page = console.get(members(console, acme))
    assert [row[0] for row in page.rows] == [
        "Olga Owner"
    ] and "The owner is the only member so far" in page.text
    acme.staff(
        "POST",
        "/members",
        {
            "name": NASTY,
            "portal_access": True,
            "role": "admin",
            "email": f"ohara@{acme.word}.example",
        },
    )
    acme.loginless("Front desk")

    page = console.get(members(console, acme))
    rows = {row[0]: row[1:] for row in page.rows}
    assert rows["Front desk"] == ["No", "Member", "Active", "–", "100", "–", "–"]
    assert (
        rows["Olga Owner"][:3] == ["Yes", "Owner", "Active"] and "verified" in rows["Olga Owner"][3]
    )
    assert rows[NASTY][1:3] == ["Admin", "Not verified yet"] and "<b>" not in page.html
    assert [row[0] for row in console.get(members(console, acme, "?status=pending")).rows] == [
        NASTY
    ]
    assert [row[0] for row in console.get(members(console, acme, "?portal_access=false")).rows] == [
        "Front desk"
    ]
    assert [row[0] for row in console.get(members(console, acme, "?q=olga&role=owner")).rows] == [
        "Olga Owner"
    ]
    page = console.get(members(console, acme, "?q=nobody"))
    assert page.rows == [] and "No members match" in page.text
    assert console.get(members(console, acme, "?status=purple")).status == 200
    assert len(console.statements(members(console, acme))) <= 12


def test_adding_with_portal_access_invites(console: Browser, acme: Customer, whole: Whole) -> None:
    page = console.post(members(console, acme, "/new"), {"name": "Ann Lee", "portal_access": "yes"})
    assert page.status == 422 and page.error("email") == "Enter an email address."

    page = console.submit({"email": f"ann@{acme.word}.example", "role": "admin", "extension": "77"})
    assert (
        page.status == 200
        and page.headings[1] == "Ann Lee"
        and "We sent an email to" in page.banners[0]
    )
    assert page.facts["Role"] == "Admin" and page.facts["Extension"] == "–"
    assert whole.link(f"ann@{acme.word}.example").startswith("/verify/")
    page = console.post(
        members(console, acme, "/new"),
        {"name": "Ann again", "portal_access": "yes", "email": f"ANN@{acme.word}.example"},
    )
    assert (
        page.status == 409
        and "already exists" in page.banners[0]
        and console.page.title.startswith("Error")
    )


def test_adding_without_portal_access_shows_a_pin_once(console: Browser, acme: Customer) -> None:
    page = console.post(
        members(console, acme, "/new"),
        {
            "name": "Front desk",
            "portal_access": "no",
            "email": "typed@before.example",
            "extension": "200",
        },
    )
    pin = page.facts["PIN"]
    assert page.status == 200 and page.facts["Extension"] == "200" and re.fullmatch(r"\d{6}", pin)
    assert page.headers["Cache-Control"] == "no-store"

    page = console.click("I've saved the PIN")
    assert (
        page.headings[1] == "Front desk"
        and page.facts["Email address"] == "–"
        and pin not in page.html
    )
    assert pin not in console.get(members(console, acme)).html

    at = page.path
    page = console.post(at + "/reset-pin")
    assert re.fullmatch(r"\d{6}", page.facts["PIN"]) and page.facts["PIN"] != pin
    new = page.facts["PIN"]
    assert new not in console.get(at + "/reset-pin").html and new not in console.get(at).html


def test_adding_preselects_nothing_privileged(console: Browser, acme: Customer) -> None:
    page = console.post(members(console, acme, "/new"), {"name": "Ann"})
    assert page.status == 422 and page.error("portal_access")
    assert console.page.forms[-1].fields["name"] == "Ann"


def test_changing_a_member(console: Browser, acme: Customer, whole: Whole) -> None:
    ann = acme.member("member", given="Ann")
    at = members(console, acme, f"/{ann.id}")
    page = console.post(at + "/edit", {"name": "Ann Smith", "role": "admin"})
    assert page.path == at and page.headings[1] == "Ann Smith" and page.facts["Role"] == "Admin"
    assert page.facts["Own name"] == "Ann Tester"
    page = console.post(at + "/edit", {"email": f"new@{acme.word}.example"})
    assert (
        "We sent an email to new@" in page.banners[0]
        and f"new@{acme.word}.example" in page.facts["New email address"]
    )
    assert ann.email in page.facts["Email address"]
    assert whole.link(f"new@{acme.word}.example").startswith("/verify/")
    assert "/undo/" in whole.mail(ann.email)


def test_removing_portal_access_shows_a_pin(console: Browser, acme: Customer) -> None:
    ann = acme.member("admin", given="Ann")
    page = console.post(members(console, acme, f"/{ann.id}/edit"), {"portal_access": "no"})
    assert re.fullmatch(r"\d{6}", page.facts["PIN"])
    page = console.click("I've saved the PIN")
    assert page.facts["Portal access"].startswith("No") and page.facts["Role"] == "Member"
    page = console.post(
        page.path + "/edit", {"portal_access": "yes", "email": ann.email, "role": "member"}
    )
    assert page.facts["Status"] == "Not verified yet"


def test_an_outdated_form_shows_the_current_values(console: Browser, acme: Customer) -> None:
    ann = acme.member("member", given="Ann")
    at = members(console, acme, f"/{ann.id}/edit")
    console.get(at)
    acme.staff("PATCH", f"/members/{ann.id}", {"name": "Ann Jones"})
    page = console.submit({"name": "Anna"})
    assert page.status == 412 and ["Name in this organization", "Ann Jones", "Anna"] in page.rows
    page = console.submit()
    assert page.status == 200 and page.headings[1] == "Anna"


def test_disable_enable_remove(
    console: Browser, acme: Customer, browser: Callable[[], Browser]
) -> None:
    ann = acme.member("member", given="Ann")
    at, hers = members(console, acme, f"/{ann.id}"), browser()
    ann.sign_in(hers)
    page = console.post(at + "/disable")
    assert (
        page.path == at
        and page.facts["Status"] == "Disabled"
        and "out within seconds" in page.banners[0]
    )
    assert hers.get(hers.at("/me/sessions")).path.startswith("/sign-in")
    assert "Enable" in page.links
    assert {"Disable", "Make owner", "End sessions"}.isdisjoint(page.links), "there are none left"
    page = console.post(at + "/enable")
    assert page.facts["Status"] == "Active"
    page = console.post(at + "/remove")
    assert page.path == members(console, acme) and [row[0] for row in page.rows] == ["Olga Owner"]
    assert console.get(at).status == 404


def test_resending_invalidates_the_previous_link(
    console: Browser, acme: Customer, whole: Whole, browser: Callable[[], Browser]
) -> None:
    ann = acme.member("member", given="Ann", accept=False)
    at, first = members(console, acme, f"/{ann.id}"), whole.link(ann.email)
    page = console.post(at + "/resend-verification")
    assert page.status == 429 and "You can try again in a minute." in page.banners[0]
    assert browser().get(first).status == 200
    with whole.databases["membership"].transaction() as session:
        earlier = clock.now() - timedelta(minutes=2)
        session.execute(update(Member).where(Member.id == ann.id).values(invited_at=earlier))
    page = console.post(at + "/resend-verification")
    assert page.path == at and "Earlier links no longer work" in page.banners[0]
    assert whole.link(ann.email) != first and browser().get(first).status == 410


def test_the_providers_own_staff_have_presets(console: Browser, provider: Provider) -> None:
    provider.owner.sign_in(console)
    at = console.at(f"/c/{provider.id}/members")
    page = console.post(
        at + "/new",
        {
            "name": "Sue Support",
            "portal_access": "yes",
            "email": f"sue@{provider.word}.example",
            "role": "support",
        },
    )
    assert page.facts["Permissions"] == "Support" and "Log in as" not in page.links
    page = console.post(page.path + "/edit", {"role": "manager"})
    assert page.facts["Permissions"] == "Manager"
    assert (
        provider.api("GET", f"/v1/organizations/{provider.id}/members?q=sue")["data"][0]["role"]
        == "admin"
    )
