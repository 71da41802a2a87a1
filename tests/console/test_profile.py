"""A person's own profile: name and address, and what the console shows of them afterwards."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from chassis.runtime import clock
from console.models import WorkspaceSession
from membership.models import LoginSession
from sqlalchemy import update

from tests.console.browser import Browser
from tests.console.provider import PASSWORD, Customer, Person, Provider
from tests.console.system import Whole

PROFILE = "/me/profile"


@pytest.fixture
def acme(provider: Provider) -> Customer:
    """A customer."""
    return provider.customer("Acme")


@pytest.fixture
def ann(acme: Customer, console: Browser) -> Person:
    """A member of it, signed in."""
    member = acme.member("member", given="Ann")
    member.sign_in(console)
    return member


def new_address(acme: Customer) -> str:
    return f"ann.new@{acme.word}.example"


def menu(console: Browser) -> str:
    return console.page.top.find("details", class_="me")[0].text


def move(console: Browser, acme: Customer, whole: Whole, guest: Browser) -> None:
    """Change the own address, and confirm it in another browser."""
    console.post(console.at(PROFILE), {"email": new_address(acme)})
    page = guest.get(whole.link(new_address(acme)))
    assert "in all your organizations" in page.text
    assert guest.submit().headings == ["Email address confirmed"]


def test_people_change_their_own_name(console: Browser, acme: Customer, ann: Person) -> None:
    page = console.click("Your profile")
    assert page.status == 200 and page.forms[-1].fields["email"] == ann.email
    page = console.submit({"given_name": "Ännchen", "family_name": ""})
    assert page.status == 422 and page.error("family_name") == "Enter a family name."
    page = console.submit({"family_name": "de Groot"})
    assert page.path == console.at(PROFILE) and page.banners == ["Changes saved."]
    assert page.headings[0] == "Ännchen de Groot" and "Ännchen de Groot" in menu(console)
    assert acme.staff("GET", f"/members/{ann.id}")["name"] == "Ännchen de Groot"
    assert len(console.statements(console.at(PROFILE))) <= 12


def test_a_new_address_is_pending_until_it_is_confirmed(
    console: Browser, acme: Customer, ann: Person, whole: Whole, browser: Callable[[], Browser]
) -> None:
    new = new_address(acme)
    page = console.post(console.at(PROFILE), {"email": "ann at home"})
    assert page.status == 422 and "name@example.com" in page.error("email")
    page = console.submit({"email": new})
    assert page.status == 200 and f"We sent an email to {new}" in page.banners[0]
    assert "Confirm your new email address" in page.headings and ann.email in menu(console)
    first = whole.link(new)

    page = console.post(console.at(PROFILE), {"given_name": "Anna"})
    assert "Confirm your new email address" in page.headings, "another change leaves it pending"

    console.click("Send the email again")
    assert f"We sent another email to {new}" in console.submit().banners[0]
    assert whole.link(new) != first and browser().get(first).status == 410

    console.click("Stop the change")
    page = console.submit()
    assert f"You still sign in with {ann.email}" in page.banners[0]
    assert "Confirm your new email address" not in page.headings
    assert browser().get(whole.link(new)).status == 410
    assert console.get(console.at(f"{PROFILE}/email/stop")).path == console.at(PROFILE)
    assert console.get(console.at(f"{PROFILE}/email/resend")).path == console.at(PROFILE)


def test_a_new_address_needs_the_password_some_time_after_signing_in(
    console: Browser, acme: Customer, ann: Person, whole: Whole
) -> None:
    with whole.databases["membership"].transaction() as session:
        earlier = clock.now() - timedelta(hours=1)
        session.execute(update(LoginSession).values(authenticated_at=earlier))
    page = console.post(console.at(PROFILE), {"given_name": "Anna"})
    assert page.banners == ["Changes saved."], "a name does not"
    page = console.post(console.at(PROFILE), {"email": new_address(acme)})
    assert page.status == 403 and page.headings == ["Confirm it's you"]
    page = console.submit({"proof_password": PASSWORD})
    assert "Confirm your new email address" in page.headings and page.status == 200


def test_the_profile_shows_an_address_that_was_confirmed_elsewhere(
    console: Browser, acme: Customer, ann: Person, whole: Whole, browser: Callable[[], Browser]
) -> None:
    move(console, acme, whole, browser())
    page = console.get(console.at(PROFILE))
    assert page.forms[-1].fields["email"] == new_address(acme)
    assert new_address(acme) in menu(console) and ann.email not in page.text


def test_every_page_shows_a_confirmed_address_once_the_session_is_renewed(
    console: Browser, acme: Customer, ann: Person, whole: Whole, browser: Callable[[], Browser]
) -> None:
    move(console, acme, whole, browser())
    with whole.pages.transaction() as session:
        session.execute(update(WorkspaceSession).values(until=clock.now()))
    for path in ("/home", "/me/organizations"):
        console.get(console.at(path))
        assert new_address(acme) in menu(console)


def test_an_address_confirmed_in_this_browser_shows_at_once(
    console: Browser, acme: Customer, ann: Person, whole: Whole
) -> None:
    move(console, acme, whole, console)
    console.click("Continue")
    assert console.workspace == acme.id and new_address(acme) in menu(console)


def test_a_moved_person_is_nobody_else(
    console: Browser,
    acme: Customer,
    ann: Person,
    provider: Provider,
    whole: Whole,
    browser: Callable[[], Browser],
) -> None:
    olga = acme.owner
    olga.sign_in(console)
    at, new = console.at(f"/c/{acme.id}/members/{olga.id}/edit"), new_address(acme)
    move(console, acme, whole, browser())
    match = re.search(r"https://app\.example(/undo/\S+)", whole.mail(olga.email))
    assert match
    names = console.get(at).forms[-1].names
    assert {"given_name", "family_name"} <= names, "the own page offers the own name"
    invited = {"name": "O", "email": new, "portal_access": True, "role": "member"}
    provider.customer("Globex").staff("POST", "/members", invited)
    assert console.get(whole.link(new)).buttons[-1] == "Join"
    assert console.get(match[1]).buttons[-1] == "Undo change", "nor for the previous address"


def test_nobody_changes_a_profile_while_acting(
    console: Browser, acme: Customer, ann: Person, provider: Provider
) -> None:
    provider.owner.sign_in(console)
    console.post(console.at(f"/c/{acme.id}/members/{ann.id}/login-as"), {"reason": "T-1"})
    assert console.workspace.startswith("ses_")
    assert PROFILE not in console.page.html
    assert console.get(console.at(PROFILE)).status == 403


def test_an_address_for_one_organization_names_it(
    console: Browser, acme: Customer, ann: Person, whole: Whole
) -> None:
    acme.staff("PATCH", f"/members/{ann.id}", {"email": new_address(acme)})
    page = console.get(whole.link(new_address(acme)))
    assert "Acme wants you to sign in there with this address." in page.text


def test_the_profile_leads_to_leaving_an_organization(
    console: Browser, acme: Customer, ann: Person
) -> None:
    console.get(console.at(PROFILE))
    console.click("Leave an organization")
    assert "Leave Acme" in console.page.links
