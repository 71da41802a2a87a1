"""Your own password, one-time codes, sessions and organizations."""

from collections.abc import Callable
from datetime import timedelta

import pyotp
from chassis.runtime import clock
from console.values import enrollments
from membership.models import LoginSession
from sqlalchemy import update

from tests.console.browser import Browser
from tests.console.people.conftest import code
from tests.console.provider import PASSWORD, Customer, Provider
from tests.console.system import Whole

NEW = "seven quiet herons wade"


def test_one_time_codes(console: Browser, acme: Customer, browser: Callable[[], Browser]) -> None:
    ann, hers = acme.member("member", given="Ann"), browser()
    ann.sign_in(hers)
    assert "Off" in hers.get(hers.at("/me/security")).text
    hers.click("Turn on one-time codes")
    page = hers.submit()
    secret = page.facts["Key"].replace(" ", "")
    assert page.facts["Address"].startswith("otpauth://totp/") and secret in page.facts["Address"]
    address, drawn = page.facts["Address"], page.top.find("path")[-1].attrs["d"]
    shown = enrollments.enrollment(address)
    assert shown and drawn == shown.qr_path
    page = hers.submit({"otp": ""})
    assert page.status == 422 and page.error("otp") == "Enter a one-time code."
    page = hers.submit({"otp": "000000"})
    assert page.status == 422 and page.error("otp") and page.facts["Address"] == address
    page = hers.submit({"otp": code(secret)})
    recovery = [one.text for one in page.top.find(class_="secret")[0].find("code")]
    assert page.status == 200 and len(recovery) >= 8
    page = hers.click("I've saved the codes")
    assert (
        "On" in page.text
        and recovery[0] not in page.html
        and "Turn off one-time codes" in page.links
    )

    again = browser()
    page = again.sign_in(ann.email, PASSWORD)
    assert page.status == 401 and "otp" in page.forms[-1].names
    page = again.submit({"otp": recovery[0]})
    assert page.status == 200 and again.workspace == acme.id

    again.get(again.at("/me/security"))
    again.click("Create new recovery codes")
    page = again.submit()
    renewed = [one.text for one in page.top.find(class_="secret")[0].find("code")]
    assert page.status == 200 and len(renewed) == 10 and not set(renewed) & set(recovery)

    page = again.post(again.at("/me/security/codes/off"))
    assert page.path.endswith("/me/security") and "One-time codes are off." in page.banners[0]


def test_several_authenticators(
    console: Browser, acme: Customer, browser: Callable[[], Browser]
) -> None:
    ann, hers, again = acme.member("member", given="Ann"), browser(), browser()
    ann.sign_in(hers)
    hers.get(hers.at("/me/security/codes"))
    phone = hers.submit({"name": "Phone"}).facts["Key"].replace(" ", "")
    hers.submit({"otp": code(phone)})
    page = hers.click("I've saved the codes")
    assert [row[0] for row in page.rows] == ["Phone"]
    assert not any(link.startswith("Remove") for link in page.links)

    page = hers.click("Add authenticator")
    assert page.headings[-1] == "Add an authenticator"
    page = hers.submit({"name": "https://x.example"})
    assert page.status == 422 and page.error("name")
    page = hers.submit({"name": "<b>Tablet</b>"})
    tablet = page.facts["Key"].replace(" ", "")
    assert tablet != phone and page.top.find("path")[-1].attrs["d"]
    page = hers.submit({"otp": "000000"})
    assert page.status == 422 and page.facts["Key"].replace(" ", "") == tablet
    page = hers.submit({"otp": code(tablet)})
    assert page.path.endswith("/me/security")
    assert "The authenticator was added." in page.banners[0]
    assert [row[0] for row in page.rows] == ["Phone", "<b>Tablet</b>"]

    again.sign_in(ann.email, PASSWORD)
    following = pyotp.TOTP(tablet).at(clock.now(), counter_offset=1)
    assert again.submit({"otp": following}).status == 200

    links = {words.partition(",")[0]: at for words, at in page.links.items()}
    remove, last = links["Remove Phone"], links["Remove <b>Tablet</b>"]
    page = hers.get(remove)
    assert page.headings[-1] == "Remove Phone?"
    page = hers.submit()
    assert page.path.endswith("/me/security") and "Phone was removed." in page.banners[0]
    assert [row[0] for row in page.rows] == ["<b>Tablet</b>"]
    assert again.get(again.at("/me/security")).path.startswith("/sign-in")
    assert hers.get(remove).status == 404
    assert hers.get(last).path.endswith("/me/security/codes/off")


def test_a_password_is_changed(
    console: Browser, acme: Customer, browser: Callable[[], Browser]
) -> None:
    ann, hers, other = acme.member("member", given="Ann"), browser(), browser()
    ann.sign_in(hers)
    ann.sign_in(other)
    at = hers.at("/me/security/password")
    page = hers.post(at, {"password": "not it at all, no", "new_password": NEW})
    assert page.status == 422 and page.error("password") and NEW not in page.html
    page = hers.submit({"password": PASSWORD, "new_password": "clientele clientele"})
    assert page.status == 422 and page.error("new_password")
    page = hers.submit({"password": PASSWORD, "new_password": NEW})
    assert page.path.endswith("/me/security") and "was changed" in page.banners[0]
    assert other.get(other.at("/me/security")).path.startswith("/sign-in")


def test_sessions_are_listed_and_ended(
    console: Browser, acme: Customer, browser: Callable[[], Browser]
) -> None:
    ann, hers, other, third = acme.member("member", given="Ann"), browser(), browser(), browser()
    for one in (hers, other, third):
        ann.sign_in(one)
    acme.staff("POST", f"/members/{ann.id}/login-as", {"reason": "a test"})
    page = hers.get(hers.at("/me/sessions"))
    names = [row[0] for row in page.rows]
    assert (
        names[0].startswith("Support signed in ")
        and sum("current" in name for name in names) == 1
        and len(names) >= 4
    )
    ended = next(f.action for f in page.forms if f.action.endswith("/end"))
    page = hers.submit(action=ended)
    assert "The session will end within seconds" in page.banners[0]
    assert not any(row[0].startswith("Support") for row in page.rows)
    page = hers.submit(button="End all other sessions")
    assert len(page.rows) == 1
    assert other.get(other.at("/me/sessions")).path.startswith("/sign-in")
    assert len(hers.statements(hers.at("/me/sessions"))) <= 12


def test_re_authentication_does_not_shorten_a_session(
    console: Browser, provider: Provider, whole: Whole
) -> None:
    acme = provider.customer("Acme")
    ann = acme.member("member", given="Ann")
    ann.sign_in(console)
    with whole.databases["membership"].transaction() as session:
        session.execute(
            update(LoginSession).values(authenticated_at=clock.now() - timedelta(hours=1))
        )
    page = console.post(console.at("/me/security/codes"))
    assert page.status == 403 and page.headings == ["Confirm it's you"]
    page = console.submit({"proof_password": PASSWORD})
    assert page.status == 200 and "Key" in page.facts
    acme.staff(
        "PATCH", f"/members/{ann.id}", {"role": "admin"}
    )  # the access token is good for nothing by this
    assert "One-time codes" in console.get(console.at("/me/security")).headings


def test_required_one_time_codes_come_first(
    console: Browser, provider: Provider, browser: Callable[[], Browser]
) -> None:
    theirs, sue = browser(), provider.staff("support")
    sue.sign_in(theirs)
    provider.api("PATCH", "/v1/settings", {"mfa_required": True})
    sue.sign_in(theirs)
    page = theirs.get(theirs.at("/customers"))
    assert (
        page.path.partition("?")[0].endswith("/me/security")
        and "requires one-time codes" in page.banners[0]
    )
    theirs.click("Turn on one-time codes")
    secret = theirs.submit().facts["Key"].replace(" ", "")
    theirs.submit({"otp": code(secret)})
    assert theirs.page.headings[-1] == "Your recovery codes"
    assert theirs.get(theirs.at("/customers")).headings[0] == "Customers"


def test_switching_organization(
    console: Browser, provider: Provider, browser: Callable[[], Browser]
) -> None:
    acme, globex = provider.customer("Acme"), provider.customer("Globex")
    ann = acme.member("member", given="Ann")
    made = globex.staff(
        "POST",
        "/members",
        {"name": "Ann Tester", "email": ann.email, "portal_access": True, "role": "admin"},
    )
    token = provider.system.link(ann.email).rpartition("/")[2]
    provider.system.call("POST", f"/v1/verifications/{token}", {})
    ann.sign_in(console)
    page = console.get(f"/at/{acme.id}/me/organizations")
    assert {row[0]: row[1] for row in page.rows} == {
        "Acme current": "Member",
        "Globex": "Admin",
    } and made["id"]
    assert [row[0] for row in console.get(f"/at/{acme.id}/me/organizations?q=glo").rows] == [
        "Globex"
    ]
    page = console.click("Globex")
    assert console.workspace == globex.id and page.status == 200
    assert console.get(f"/at/{acme.id}/me/organizations").status == 200


def test_people_leave_an_organization(
    console: Browser, provider: Provider, browser: Callable[[], Browser]
) -> None:
    acme = provider.customer("Acme")
    ann = acme.member("member", given="Ann")
    ann.sign_in(console)
    page = console.get(console.at("/me/organizations"))
    page = console.get(page.links["Leave Acme"])
    assert "You belong to no other organization" in page.text
    assert "Leave organization" in page.html
    console.submit()
    left = [m["role"] for m in acme.staff("GET", "/members")["data"]]
    assert left == ["owner"], "and the person is signed out"

    his = browser()
    acme.owner.sign_in(his)
    assert "Leave Acme" not in his.get(his.at("/me/organizations")).links
