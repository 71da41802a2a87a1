"""Two tabs of one browser: what ends in one is explained in the other, which comes back to its
page."""

from collections.abc import Callable

import pytest

from tests.console.browser import Browser
from tests.console.provider import PASSWORD, Customer, Provider


def _suspend_form(console: Browser, acme: Customer) -> str:
    path = console.at(f"/c/{acme.id}/settings/suspend")
    assert console.get(path).status == 200
    return path


def test_a_first_visit_is_asked_to_sign_in_without_a_reason(
    console: Browser, provider: Provider
) -> None:
    page = console.get(f"/at/{provider.id}/customers")

    assert page.path.startswith("/sign-in?next=") and "ended" not in page.text


def test_a_tab_says_that_the_person_signed_out_and_comes_back_to_its_page(
    console: Browser, provider: Provider
) -> None:
    provider.owner.sign_in(console)
    at = console.at("/customers?q=x")
    console.get(console.at("/me/sessions"))
    console.sign_out()

    page = console.get(at)
    assert "You have signed out in this browser. Sign in again" in page.text
    assert console.submit({"email": provider.email, "password": PASSWORD}).path == at
    assert "clientele-signed-out" not in console.cookies


def test_a_form_that_was_lost_says_that_nothing_was_changed(
    console: Browser, provider: Provider
) -> None:
    acme = provider.customer("Acme", accept=False)
    provider.owner.sign_in(console)
    _suspend_form(console, acme)
    old = console.page.forms[-1].fields
    path = console.page.path
    console.get(console.at("/me/sessions"))
    console.sign_out()

    page = console.send("POST", path, {**old, "reason": "Unpaid"})

    assert page.status == 401 and acme.now["status"] == "active"
    assert "You have signed out in this browser. Nothing was changed." in page.text
    assert "Your entries are saved" in page.text


def test_a_tab_says_that_the_access_has_changed(console: Browser, provider: Provider) -> None:
    acme = provider.customer("Acme")
    acme.owner.sign_in(console)
    at = console.page.path
    acme.suspend()

    page = console.get(at)

    assert page.path.startswith("/sign-in?next=")
    assert "because your access to the organization has changed" in page.text


def test_a_tab_of_one_person_says_who_is_signed_in_now(
    console: Browser, provider: Provider
) -> None:
    acme = provider.customer("Acme")
    provider.owner.sign_in(console)
    path = _suspend_form(console, acme)
    old = console.page.forms[-1].fields
    acme.owner.sign_in(console)

    page = console.get(path)
    assert page.status == 404 and acme.email in page.text and "another account" in page.text
    page = console.send("POST", path, {**old, "reason": "Unpaid"})
    assert page.status == 404 and "Nothing was changed" in page.text
    assert acme.now["status"] == "active"


@pytest.mark.parametrize("why", ["<b>x</b>", "nonsense", ""])
def test_the_reason_is_one_of_the_known_ones(browser: Callable[[], Browser], why: str) -> None:
    page = browser().get(f"/sign-in?why={why}&next=https://evil.example/")

    assert "nonsense" not in page.text and "<b>x</b>" not in page.html
    assert page.forms[-1].fields["next"] == "/"
