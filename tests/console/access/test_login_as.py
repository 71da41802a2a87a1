"""Login As, page by page."""

import re
from collections.abc import Callable

import pytest
from console.guard import sessions
from console.values.sealing import unseal

from tests.console.access.conftest import banner, log_in_as
from tests.console.browser import Browser
from tests.console.provider import Customer, Person


def test_login_as_from_start_to_end(console: Browser, acme: Customer, sven: Person) -> None:
    sven.sign_in(console)
    own, path = console.workspace, console.at(f"/c/{acme.id}/members/{acme.owner.id}/login-as")
    form = console.get(f"{path}?reason=ticket+7")
    assert form.forms[-1].fields["reason"] == "ticket 7" and "You can't" in form.text

    inside = console.submit(action=path)

    assert (
        console.workspace.startswith("ses_")
        and inside.path == f"/at/{console.workspace}/c/{acme.id}/overview"
    )
    assert "You're logged in as Olga Owner at Acme & Söhne" in banner(inside) and re.search(
        r"until \d\d:\d\d UTC", inside.text
    )
    assert "support session" in inside.title and "End session" in inside.buttons
    assert inside.html.index('class="acting"') < inside.html.index('class="skip"'), (
        "the way out comes first"
    )
    acting = console.workspace

    settings = f"/at/{acting}/c/{acme.id}/settings"
    (typed,) = [f.fields for f in console.get(settings).forms if "billing_city" in f.fields]
    assert "billing_email" not in typed, "staff in a session change no address"
    assert console.submit({"billing_city": "Bonn"}, action=settings).path == settings
    back = console.submit(action=f"/at/{acting}/acting/stop")

    assert (
        back.path == f"/at/{own}/c/{acme.id}/members/{acme.owner.id}"
        and "left the session" in back.text
    )
    assert not banner(back)
    over = console.get(f"/at/{acting}/c/{acme.id}/overview")
    assert over.status == 410 and "ended" in over.text
    assert over.links["Back to my account"] == f"/at/{own}/c/{acme.id}/support"
    assert acme.staff("GET", "/remote-support")["inside"] == []


def test_the_token_stops_working_when_the_session_ends(
    console: Browser, acme: Customer, sven: Person
) -> None:
    sven.sign_in(console)
    log_in_as(console, acme)
    with console.system.console.app_context():
        visitor = sessions.identify(
            console.cookies["clientele"]
            if "clientele" in console.cookies
            else console.cookies["__Host-clientele"],
            console.workspace,
        )
        assert visitor is not None and visitor.workspace is not None
        token = unseal(visitor.secret, visitor.workspace.tokens)["access"]
    assert console.system.call("GET", "/v1/me", token=token).status_code == 200
    console.submit(action=f"/at/{console.workspace}/acting/stop")
    console.system.settle()
    assert console.system.call("GET", "/v1/me", token=token).status_code == 401


def test_what_support_may_not_do_is_hidden_and_refused(
    console: Browser, acme: Customer, sven: Person
) -> None:
    member = acme.member()
    sven.sign_in(console)
    log_in_as(console, acme)
    page = console.get(console.at(f"/c/{acme.id}/members/{member.id}"))
    assert page.status == 200
    for word in ("Disable", "Remove", "Reset PIN", "Log in as", "Make owner"):
        assert word not in page.links and word not in page.buttons, word
    for place in (
        "audit",
        "timeline",
        "delete",
        "members/new",
        f"members/{member.id}/login-as",
        "support/request",
    ):
        assert console.get(console.at(f"/c/{acme.id}/{place}")).status in (403, 404), place

    token = re.search(
        r'name="csrf" value="([^"]+)"', console.get(console.at(f"/c/{acme.id}/overview")).html
    )
    assert token
    console.send(
        "POST", console.at(f"/c/{acme.id}/members/{member.id}/disable"), {"csrf": token[1]}
    )
    assert console.page.status in (403, 404)
    assert acme.staff("GET", f"/members/{member.id}")["status"] == "active"


def test_two_workspaces_in_one_browser_do_not_mix(
    console: Browser, acme: Customer, sven: Person
) -> None:
    sven.sign_in(console)
    own = console.workspace
    log_in_as(console, acme)
    acting = console.workspace

    mine = console.get(f"/at/{own}/customers")
    theirs = console.get(f"/at/{acting}/c/{acme.id}/overview")

    assert mine.status == 200 and not banner(mine) and f"/at/{acting}" not in mine.html
    assert banner(theirs) and f"/at/{own}/" not in theirs.html
    assert console.get(f"/at/{own}/c/{acme.id}/audit").status == 200
    assert console.get(f"/at/{acting}/c/{acme.id}/audit").status == 403


def test_an_active_session_is_offered_instead(
    console: Browser, acme: Customer, sven: Person
) -> None:
    sven.sign_in(console)
    own = console.workspace
    log_in_as(console, acme)
    acting = console.workspace
    path = f"/at/{own}/c/{acme.id}/members/{acme.owner.id}/login-as"

    page = console.post(path, {"reason": "again"})

    assert (
        page.status == 409
        and "already have an active support session" in page.text
        and "/v1/" not in page.text
    )
    assert page.links["Open it"] == f"/at/{acting}/c/{acme.id}/overview"
    page = console.submit(action=f"/at/{own}/acting/{acting}/end")
    assert page.path == path and console.get(f"/at/{acting}/c/{acme.id}/overview").status == 410


@pytest.mark.parametrize("state", ["no portal access", "not verified", "disabled"])
def test_an_ineligible_member_is_explained_before_the_form(
    console: Browser, acme: Customer, sven: Person, state: str
) -> None:
    member_id = (
        acme.loginless()["id"]
        if state == "no portal access"
        else acme.member(accept=state != "not verified").id
    )
    if state == "disabled":
        acme.staff("POST", f"/members/{member_id}/disable")
    sven.sign_in(console)
    page = console.get(console.at(f"/c/{acme.id}/members/{member_id}/login-as"))
    assert page.status == 200 and state in page.text and "Log in as" not in page.buttons


def test_login_as_needs_a_reason_and_the_right_role(
    console: Browser, browser: Callable[[], Browser], acme: Customer, sven: Person
) -> None:
    sven.sign_in(console)
    page = log_in_as(console, acme, reason="")
    assert page.status == 422 and page.error("reason")
    other = browser()
    acme.provider.staff("support").sign_in(other)
    assert other.get(other.at(f"/c/{acme.id}/members/{acme.owner.id}/login-as")).status == 403


def test_the_page_notices_that_the_customer_ended_the_session(
    console: Browser, browser: Callable[[], Browser], acme: Customer, sven: Person
) -> None:
    sven.sign_in(console)
    log_in_as(console, acme)
    acting, customer = console.workspace, browser()
    assert console.get(f"/at/{acting}/acting/pulse").status == 204

    acme.owner.sign_in(customer)
    page = customer.get(customer.at(f"/c/{acme.id}/support"))
    assert "Support is in this account as Olga Owner" in page.text
    page = customer.post(customer.at(f"/c/{acme.id}/support/{acting}/end"))

    assert "No one from your provider is in this account" in page.text
    assert console.get(f"/at/{acting}/acting/pulse").status == 410
    assert console.get(f"/at/{acting}/c/{acme.id}/payment").status == 410
