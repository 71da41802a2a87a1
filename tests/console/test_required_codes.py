"""A customer's owner requires one-time codes of its people."""

from collections.abc import Callable

from tests.console.browser import Browser
from tests.console.people.conftest import code
from tests.console.provider import Customer, Provider

REQUIRED = "now requires one-time codes."


def settings(console: Browser, customer: Customer, rest: str = "") -> str:
    return console.at(f"/c/{customer.id}/settings{rest}")


def turn_on(console: Browser) -> str:
    """Turn on one-time codes on the page that asks for them; returns the last heading."""
    console.click("Turn on one-time codes")
    secret = console.submit().facts["Key"].replace(" ", "")
    console.submit({"otp": code(secret)})
    return console.page.headings[-1]


def test_the_owner_requires_codes_and_everyone_is_asked_to_set_them_up(
    console: Browser, provider: Provider, browser: Callable[[], Browser]
) -> None:
    acme, hers = provider.customer("Acme"), browser()
    ann = acme.member("admin", given="Ann")
    ann.sign_in(hers)
    acme.owner.sign_in(console)
    page = console.get(settings(console, acme))
    assert "Not required." in page.text

    console.click("Require one-time codes")
    assert "Everyone in this organization, including you" in console.page.text
    page = console.submit()

    assert acme.now["mfa_required"] is True
    for person in (console, hers):
        page = person.get(settings(person, acme))
        assert page.path.partition("?")[0].endswith("/me/security")
        assert "Your organization requires one-time codes" in page.banners[-1]
        assert turn_on(person) == "Your recovery codes"
        assert "Required." in person.get(settings(person, acme)).text
    again = browser()
    page = ann.sign_in(again)
    assert page.status == 401 and "otp" in page.forms[-1].names
    hers.get(hers.at("/me/security/codes/off"))
    assert "An organization that you belong to requires one-time codes" in hers.submit().text

    console.get(settings(console, acme))
    console.click("Stop requiring codes")
    page = console.submit()

    assert acme.now["mfa_required"] is False and "Not required." in page.text


def test_others_see_it_and_cannot_change_it(
    console: Browser, provider: Provider, browser: Callable[[], Browser]
) -> None:
    acme, boss = provider.customer("Acme"), browser()
    provider.owner.sign_in(boss)
    acme.member("admin", given="Ann").sign_in(console)

    for person in (boss, console):
        page = person.get(settings(person, acme))
        assert "Only the owner of this organization can require them." in page.text
        assert "Require one-time codes" not in page.links
        for rest in ("/require-codes", "/no-codes"):
            assert person.get(settings(person, acme, rest)).status == 403
    assert acme.now["mfa_required"] is False
