"""Signing in and out: errors, redirects, and forms that outlive a session."""

from collections.abc import Callable
from urllib.parse import quote

import pyotp
import pytest

from tests.console.browser import Browser
from tests.console.provider import PASSWORD, Provider
from tests.console.system import Whole

ELSEWHERE = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example",
    "https:evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\nSet-Cookie: a=b",
    "http:\\\\evil.example",
    "evil.example",
    "@evil.example",
    "",
    "/\x00/evil",
    "/\u2028/x",
    "//evil.example/%2f..",
    "/\\/evil.example",
    " //evil.example",
    "/ok\\..\\..\\evil",
]


def test_signing_in_and_out(console: Browser, provider: Provider) -> None:
    console.get("/")
    assert console.page.path == "/sign-in"

    page = console.sign_in(provider.email, PASSWORD)

    assert page.status == 200 and console.workspace == provider.id
    at = console.at("/customers")
    assert console.sign_out().headings == ["You're signed out"]
    assert console.get(at).path.startswith("/sign-in?next=")
    assert console.get("/").path == "/sign-in"


def test_signing_out_ends_the_sessions_at_the_api_too(console: Browser, provider: Provider) -> None:
    provider.owner.sign_in(console)
    during = len(provider.api("GET", "/v1/sessions")["data"])

    console.sign_out()

    assert len(provider.api("GET", "/v1/sessions")["data"]) == during - 1


@pytest.mark.parametrize(
    ("email", "password", "status", "words"),
    [
        ("", "", 422, "Enter your email address and password."),
        (
            "nobody@example.com",
            "four wrong otters drift",
            401,
            "The email address or password is incorrect.",
        ),
    ],
)
def test_a_failed_sign_in_keeps_the_email_but_not_the_password(
    console: Browser, email: str, password: str, status: int, words: str
) -> None:
    page = console.sign_in(email, password)

    assert (page.status, page.banners[0].removeprefix("There is a problem ")) == (status, words)
    assert page.forms[-1].fields["email"] == email
    assert page.title.startswith("Error: ") and (not password or password not in page.html)
    assert console.cookies == {}


def test_too_many_failed_sign_ins_must_wait(console: Browser) -> None:
    statuses = [console.sign_in("victim@example.com", "a wrong one").status for _ in range(25)]

    # The time to wait may be over before the last one, on a slow machine.
    assert statuses[0] == 401 and 429 in statuses
    assert (
        int(console.page.headers.get("Retry-After", "0")) >= 0
        and "sign in" in console.page.text.lower()
    )


def test_somebody_in_the_same_network_cannot_keep_a_person_out(
    browser: Callable[[], Browser], provider: Provider
) -> None:
    own, new, other = browser(), browser(), browser()
    provider.owner.sign_in(own)
    new.address = other.address = own.address
    own.sign_out()
    known = own.cookies["clientele-browser"]

    for _ in range(5):
        other.sign_in(provider.email, "a wrong one")

    assert new.sign_in(provider.email, PASSWORD).status == 429
    assert "clientele-browser" not in new.cookies
    assert own.sign_in(provider.email, PASSWORD).status == 200
    assert own.cookies["clientele-browser"] == known


def test_one_time_codes_do_not_need_the_password_again(
    console: Browser, provider: Provider
) -> None:
    phone = _enroll(provider)
    page = console.sign_in(provider.email, PASSWORD)
    assert page.status == 401 and page.banners == []
    assert page.forms[-1].names == {"next", "begun", "otp"} and PASSWORD not in page.html
    assert "to reset your one-time codes" in page.text and "Forgot your password?" not in page.text

    assert "The one-time code is incorrect" in console.submit({"otp": "000000"}).text
    console.submit({"otp": phone.at(_now())})

    assert console.page.status == 200 and console.workspace == provider.id
    assert console.cookies.keys() == {"clientele", "clientele-browser"}, (
        "what opened the password is gone"
    )


def test_an_encrypted_password_works_only_in_its_own_browser(
    browser: Callable[[], Browser], provider: Provider
) -> None:
    phone, one, other = _enroll(provider), browser(), browser()
    begun = one.sign_in(provider.email, PASSWORD).forms[-1].fields["begun"]

    other.get("/sign-in")
    page = other.send("POST", "/sign-in", {"begun": begun, "otp": phone.at(_now()), "next": "/"})

    assert page.status == 422 and "clientele" not in other.cookies


@pytest.mark.parametrize(
    "begun", ["x", "a.b.c.d.e", "eyJhbGciOiJub25lIn0..AA.AA.AA", "\u00fc", "." * 4, "A" * 5000]
)
def test_a_forged_first_step_is_ignored(console: Browser, begun: str) -> None:
    assert console.send("POST", "/sign-in", {"begun": begun, "otp": "1", "next": "/"}).status == 422


def test_signing_in_never_redirects_to_another_site(console: Browser, provider: Provider) -> None:
    for target in ELSEWHERE:
        page = console.send("GET", f"/sign-in?next={quote(target)}")
        assert page.forms[-1].fields["next"] == "/", target
        assert (
            console.send("POST", "/preferences", {"look": "dark", "next": target}).location == "/"
        ), target
    for target in [*ELSEWHERE[:4], "/\r\nSet-Cookie: a=b"]:
        page = console.send(
            "POST", "/sign-in", {"email": provider.email, "password": PASSWORD, "next": target}
        )

        assert (page.status, page.location) == (303, f"/at/{provider.id}/home"), target
        assert len(page.headers.getlist("Set-Cookie")) == 2, target


def test_signing_in_continues_to_the_requested_page(console: Browser, provider: Provider) -> None:
    console.get(f"/at/{provider.id}/customers?q=50%25&status=active", follow=False)
    assert console.page.status == 303

    console.follow()
    page = console.submit({"email": provider.email, "password": PASSWORD})

    assert page.path == f"/at/{provider.id}/customers?q=50%25&status=active"


def test_a_form_survives_the_end_of_the_session(console: Browser, provider: Provider) -> None:
    acme = provider.customer("Acme", accept=False)
    provider.owner.sign_in(console)
    path = console.at(f"/c/{acme.id}/settings/suspend")
    console.get(path)
    _end_sessions(provider)

    page = console.submit({"reason": 'Unpaid <since> "May" & June'})
    assert page.status == 401 and "Your entries are saved" in page.text
    page = console.submit({"email": provider.email, "password": PASSWORD})

    assert page.path.startswith(f"{path}?draft=") and page.status == 200
    assert page.forms[-1].fields["reason"] == 'Unpaid <since> "May" & June'
    assert "We restored your entries" in page.text and acme.now["status"] == "active"
    console.submit()
    assert acme.now["status"] == "suspended"


def test_secrets_are_never_stored_in_drafts(console: Browser, provider: Provider) -> None:
    provider.owner.sign_in(console)
    page = console.get(console.at("/me/security/password"))
    _end_sessions(provider)
    secrets = {
        name: "my dearest secret words" for name in page.forms[-1].names if "password" in name
    }

    page = console.submit(secrets)

    assert secrets and page.status == 401 and "dearest" not in page.html


def test_a_button_pressed_after_the_session_ended_leads_back_to_its_page(
    console: Browser, provider: Provider
) -> None:
    provider.owner.sign_in(console)
    at = console.at("/me/sessions")
    token = console.get(at).forms[-1].fields["csrf"]
    _end_sessions(provider)

    page = console.send(
        "POST", f"{at}/end-others", {"csrf": token}, {"Referer": f"{console.origin}{at}"}
    )
    assert page.status == 401
    page = console.submit({"email": provider.email, "password": PASSWORD})

    assert page.path.partition("?")[0] == at and page.status == 200


def test_a_form_opened_before_signing_in_again_is_kept(
    console: Browser, provider: Provider
) -> None:
    acme = provider.customer("Acme", accept=False)
    provider.owner.sign_in(console)
    path = console.at(f"/c/{acme.id}/settings/suspend")
    console.get(path)
    old = console.page.forms[-1].fields
    provider.owner.sign_in(console)

    console.send("POST", path, {**old, "reason": "in the other tab"})
    page = console.follow()

    assert page.forms[-1].fields["reason"] == "in the other tab" and acme.now["status"] == "active"


def test_two_browsers_are_independent(browser: Callable[[], Browser], provider: Provider) -> None:
    one, other = browser(), browser()
    provider.owner.sign_in(one)
    provider.owner.sign_in(other)

    one.sign_out()

    assert other.get(f"/at/{provider.id}/customers").status == 200
    assert one.get(f"/at/{provider.id}/customers").path.startswith("/sign-in")


def test_signing_in_as_somebody_else_ends_the_previous_session(
    console: Browser, provider: Provider
) -> None:
    acme = provider.customer("Acme")
    provider.owner.sign_in(console)

    acme.owner.sign_in(console)

    assert console.workspace == acme.id
    assert console.get(f"/at/{provider.id}/customers").status == 404


def test_a_suspended_organization_refuses_login_as(console: Browser, provider: Provider) -> None:
    acme = provider.customer("Acme")
    acme.owner.sign_in(console)
    at = console.page.path
    acme.suspend()

    assert console.get(at).path.startswith("/sign-in")
    page = console.sign_in(acme.email, PASSWORD)

    assert page.status == 401 and "No one can sign in to this organization." in page.text


def test_signing_out_works_while_the_api_is_unavailable(
    console: Browser, provider: Provider, whole: Whole, unavailable: Callable[[], None]
) -> None:
    provider.owner.sign_in(console)
    unavailable()

    console.send("POST", "/sign-out", {"csrf": console.page.forms[-1].fields["csrf"]})

    assert console.page.location == "/signed-out" and "clientele" not in console.cookies
    page = console.send(
        "POST", "/sign-in", {"email": provider.email, "password": PASSWORD, "next": "/"}
    )
    assert page.status == 503 and provider.email in page.html


def _enroll(provider: Provider) -> pyotp.TOTP:
    """The owner uses one-time codes from now on. The current code is used up, so take the next."""
    phone = pyotp.TOTP(provider.api("POST", "/v1/me/totp")["secret"])
    provider.api("POST", "/v1/me/totp/confirm", {"otp": phone.at(_now() - 30)})
    return phone


def _now() -> int:
    from chassis.runtime import clock

    return int(clock.now().timestamp())


def _end_sessions(provider: Provider) -> None:
    """End all sessions of the owner except that of this client."""
    for session in provider.api("GET", "/v1/sessions")["data"]:
        if not session["current"]:
            provider.api("DELETE", f"/v1/sessions/{session['id']}")
