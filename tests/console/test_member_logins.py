"""What others do with the login of a member, on the member's page."""

import re
from collections.abc import Callable

import pyotp
from chassis.runtime import clock

from tests.console.browser import Browser
from tests.console.provider import PASSWORD, Provider
from tests.console.system import Whole


def test_ending_the_sessions_of_a_member(
    console: Browser, provider: Provider, whole: Whole, browser: Callable[[], Browser]
) -> None:
    acme, hers = provider.customer("Acme"), browser()
    ann, adam = acme.member("member", given="Ann"), acme.member("admin", given="Adam")
    pending = acme.member("member", accept=False)
    ann.sign_in(hers)
    adam.sign_in(console)
    at = console.at(f"/c/{acme.id}/members")

    for other in (adam.id, acme.owner.id, pending.id):
        assert "End sessions" not in console.get(f"{at}/{other}").links
    page = console.get(console.get(f"{at}/{ann.id}").links["End sessions"])
    assert page.headings[-1] == "End all sessions of Ann Tester?"
    page = console.submit()

    assert page.path == f"{at}/{ann.id}"
    assert page.banners[0] == "Ann Tester will be signed out within seconds."
    assert hers.get(hers.at("/me/sessions")).path.startswith("/sign-in")
    assert "Adam Tester ended all sessions" in whole.mail(ann.email)


def switch_codes_on(whole: Whole, email: str) -> None:
    """By the API, with a session of its own."""
    signed_in = whole.call("POST", "/v1/sessions", {"email": email, "password": PASSWORD}).json
    token = signed_in["access_token"]
    secret = whole.call("POST", "/v1/me/totp", token=token).json["secret"]
    body = {"otp": pyotp.TOTP(secret).at(clock.now())}
    assert whole.call("POST", "/v1/me/totp/confirm", body, token=token).status_code == 201


def test_resetting_lost_one_time_codes(
    console: Browser, provider: Provider, whole: Whole, browser: Callable[[], Browser]
) -> None:
    acme, globex, hers = provider.customer("Acme"), provider.customer("Globex"), browser()
    ann = acme.member("member", given="Ann")
    acme.owner.sign_in(console)
    at = console.at(f"/c/{acme.id}/members/{ann.id}")
    assert "Reset one-time codes" not in console.get(at).links
    switch_codes_on(whole, ann.email)

    console.get(console.get(at).links["Reset one-time codes"])
    page = console.submit()
    assert page.path == at and page.banners[0].startswith("Ann Tester got an email.")
    assert page.facts["One-time codes"] == "Off" and "/reset-codes/" not in whole.mail(ann.email)

    switch_codes_on(whole, ann.email)
    role = {"portal_access": True, "role": "member"}
    globex.staff("POST", "/members", {"name": "Ann", "email": ann.email, **role})
    assert console.post(f"{at}/reset-mfa").facts["One-time codes"].startswith("On")
    match = re.search(r"https://app\.example(/reset-codes/\S+)", whole.mail(ann.email))
    assert match and hers.get(match[1]).headings == ["Turn off one-time codes"]
    page = hers.submit({"password": "seven quiet herons wade"})
    assert page.status == 401 and "The password is wrong" in page.banners[0]
    page = hers.submit({"password": PASSWORD})
    assert page.headings == ["One-time codes are off"] and page.links["Sign in"].startswith(
        "/sign-in"
    )
    assert console.get(at).facts["One-time codes"] == "Off"
    page = hers.get(match[1])
    assert page.status == 410 and "Ask the owner" in page.text
    assert hers.sign_in(ann.email, PASSWORD).status == 200


def test_staff_do_it_by_a_link_where_a_customer_manages_itself(
    console: Browser, provider: Provider, whole: Whole
) -> None:
    acme = provider.customer("Acme")
    switch_codes_on(whole, acme.owner.email)
    provider.staff("manager").sign_in(console)
    at = console.at(f"/c/{acme.id}/members/{acme.owner.id}")
    acme.staff("PATCH", "", {"managed_by": "customer"})

    console.get(console.get(at).links["Reset one-time codes"])
    page = console.submit()

    assert page.path == at and page.facts["One-time codes"].startswith("On")
    assert "/reset-codes/" in whole.mail(acme.owner.email)


def test_what_a_member_leaves_behind_is_shown_before_and_after(
    console: Browser, provider: Provider, browser: Callable[[], Browser]
) -> None:
    theirs, max_, sue = browser(), provider.staff("manager"), provider.staff("support")
    max_.sign_in(theirs)
    theirs.post(theirs.at("/me/keys/new"), {"name": "Sync", "scope_cust_read": "on"})
    provider.owner.sign_in(console)
    at = console.at(f"/c/{provider.id}/members")

    page = console.get(f"{at}/{max_.id}/disable")
    assert "What they leave behind:" in page.text
    for line in (
        "1 session will end, support sessions included.",
        "1 API key that they created will be suspended until adopted by an owner.",
    ):
        assert line in page.text
    page = console.submit()
    assert "Ended: 1 session." in page.banners[0]
    assert "Suspended until adopted by an owner: 1 API key that they created." in page.banners[0]
    assert "leave behind" not in console.get(f"{at}/{max_.id}/remove").text

    sue.sign_in(browser())
    assert "1 session will end" in console.get(f"{at}/{sue.id}/remove").text
    assert "Ended: 1 session." in console.submit().banners[0]
