"""Members, ownership, links from emails and your own account."""

import re
from collections.abc import Callable
from datetime import timedelta

import pyotp
import pytest
from chassis.runtime import clock
from console.values import enrollments
from membership.models import LoginSession, Member
from sqlalchemy import update

from tests.console.browser import Browser, Page
from tests.console.provider import PASSWORD, Customer, Provider
from tests.console.system import Whole

NEW = "seven quiet herons wade"
NASTY = '<b>"O\'Hara"</b> & =1+1'


def members(console: Browser, customer: Customer, rest: str = "") -> str:
    return console.at(f"/c/{customer.id}/members{rest}")


@pytest.fixture
def acme(console: Browser, provider: Provider) -> Customer:
    """A customer, and its provider's owner signed in."""
    made = provider.customer("Acme")
    provider.owner.sign_in(console)
    return made


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


def test_staff_offer_no_power_over_a_customer_that_manages_itself(
    console: Browser, provider: Provider, browser: Callable[[], Browser]
) -> None:
    acme, theirs = provider.customer("Acme"), browser()
    admin = acme.member("admin", accept=False)
    acme.staff("POST", f"/members/{admin.id}/disable")
    acme.staff("PATCH", "", {"managed_by": "customer"})
    provider.staff("manager").sign_in(console)
    acme.owner.sign_in(theirs)
    at = console.at(f"/c/{acme.id}")

    page = console.get(f"{at}/members/new")
    assert "only its owner can add admins" in page.text.replace("Only", "only")
    assert 'value="admin"' not in page.html and 'value="member"' in page.html
    for person in (admin.id, acme.owner.id):
        page = console.get(f"{at}/members/{person}/edit")
        assert page.status == 200 and "email" not in page.forms[-1].names
    offered = console.get(f"{at}/members/{admin.id}").links.keys()
    assert "Remove" in offered and not {"Enable", "Make owner"} & offered
    for path in ("settings", "ownership"):
        assert "Transfer ownership" not in console.get(f"{at}/{path}").links
    page = console.post(f"{at}/members/{admin.id}/enable")
    assert page.status == 403 and "This customer manages itself" in page.text
    assert "Enable" in theirs.get(theirs.at(f"/c/{acme.id}/members/{admin.id}")).links
    assert 'value="admin"' in theirs.get(theirs.at(f"/c/{acme.id}/members/new")).html


def test_a_lost_owner_is_replaced_unless_an_admin_stops_it(
    console: Browser, provider: Provider, whole: Whole, browser: Callable[[], Browser]
) -> None:
    acme, theirs, guest = provider.customer("Acme"), browser(), browser()
    admin, new = acme.member("admin"), acme.member("member", given="Nora")
    acme.staff("PATCH", "", {"managed_by": "customer"})
    provider.owner.sign_in(console)
    admin.sign_in(theirs)
    at = console.at(f"/c/{acme.id}/ownership")

    page = console.get(f"{at}/new?member={new.id}")
    assert "becomes the owner in 72 hours" in page.text
    page = console.submit({"reason": "the owner died", "typed": "Acme"})
    assert page.status == 200 and "in 72 hours" in page.banners[0]
    page = theirs.get(theirs.at(f"/c/{acme.id}/ownership"))
    assert "The provider makes Nora Tester the owner" in page.text
    theirs.post(theirs.get(page.links["Stop transfer"]).path)
    assert "The owner stays the same" in theirs.page.banners[0]

    console.post(f"{at}/new?member={new.id}", {"reason": "again", "typed": "Acme"})
    match = re.search(r"https://app\.example(/undo/\S+)", whole.mail(admin.email))
    assert match and guest.get(match[1]).headings == ["Stop the new owner"]
    assert guest.submit().headings == ["The transfer was stopped"]
    assert "Scheduled" not in console.get(at).text


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
    assert "Enable" in page.links and "Disable" not in page.links and "Make owner" not in page.links
    page = console.post(at + "/enable")
    assert page.facts["Status"] == "Active"
    page = console.post(at + "/remove")
    assert page.path == members(console, acme) and [row[0] for row in page.rows] == ["Olga Owner"]
    assert console.get(at).status == 404


def test_the_owner_has_to_transfer_first(console: Browser, acme: Customer) -> None:
    at = members(console, acme, f"/{acme.owner.id}")
    page = console.get(at)
    assert {"Disable", "Remove", "Make owner"}.isdisjoint(
        page.links
    ) and "exactly one" in page.banners[0]
    assert page.links["Choose a new owner"].endswith("/ownership/new")
    page = console.post(at + "/disable")
    assert page.status == 409 and "Transfer the ownership" in page.banners[0]


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


def test_actions_a_role_may_not_use_are_hidden(
    console: Browser, provider: Provider, browser: Callable[[], Browser]
) -> None:
    acme = provider.customer("Acme")
    ann, bob = acme.member("member", given="Ann"), acme.member("admin", given="Bob")
    provider.staff("viewer").sign_in(console)
    page = console.get(members(console, acme, f"/{ann.id}"))
    assert {"Edit", "Disable", "Remove", "Log in as", "Make owner"}.isdisjoint(page.links)
    assert "Add member" not in console.get(members(console, acme)).links
    assert console.get(members(console, acme, "/new")).status == 403

    his = browser()
    bob.sign_in(his)
    page = his.get(members(his, acme, f"/{ann.id}"))
    assert {"Edit", "Disable", "Remove", "Reset password"} <= set(page.links)
    assert {"Log in as", "Make owner"}.isdisjoint(page.links)
    page = his.get(members(his, acme, f"/{bob.id}"))
    assert {"Edit", "Disable", "Remove"}.isdisjoint(page.links)
    form = his.get(members(his, acme, "/new")).forms[-1]
    assert form.options("role") == ["member"]
    assert his.post(members(his, acme, f"/{bob.id}/remove")).status == 403

    hers = browser()
    ann.sign_in(hers)
    page = hers.get(members(hers, acme))
    assert [row[1] for row in page.rows] == ["Member", "Admin", "Owner"] and "@" not in "".join(
        cell for row in page.rows for cell in row
    )
    page = hers.get(members(hers, acme, f"/{bob.id}"))
    assert bob.email not in page.text and {"Edit", "Disable"}.isdisjoint(page.links)


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


def test_staff_transfer_ownership_immediately_and_undo_it(console: Browser, acme: Customer) -> None:
    ann = acme.member("member", given="Ann")
    acme.loginless("Front desk")
    page = console.get(console.at(f"/c/{acme.id}/ownership/new"))
    assert {row[0]: row[3] for row in page.rows} == {
        "Ann Tester": "Choose Ann Tester",
        "Front desk": "No: no portal access",
        "Olga Owner": "Current owner",
    }
    console.get(page.links["Choose Ann Tester"])
    page = console.submit({"reason": "Olga has left", "typed": "acme"})
    assert page.status == 422 and page.error("typed") and acme.owner.member["name"] == "Olga Owner"
    page = console.submit({"typed": "Acme"})
    assert "Ann Tester is now the owner" in page.banners[0] and acme.owner.id == ann.id
    assert "The transfer did not change anything assigned to Olga Owner" in page.text
    page = console.get(page.links["Undo transfer"])
    page = console.submit()
    assert acme.now["owner"]["given_name"] == "Olga" and page.rows[0][4] == "Undone"


def test_an_owner_offers_and_the_other_accepts(
    provider: Provider, console: Browser, browser: Callable[[], Browser], whole: Whole
) -> None:
    acme = provider.customer("Acme")
    ann, olga, hers = acme.member("member", given="Ann"), acme.owner, browser()
    olga.sign_in(console)
    page = console.get(console.at(f"/c/{acme.id}/ownership/new?member={ann.id}"))
    page = console.submit({"reason": "I retire", "typed": "Acme"})
    assert "Ownership was offered to Ann Tester" in page.banners[0] and acme.owner.id == olga.id
    assert "sign in within 72 hours" in whole.mail(ann.email)

    ann.sign_in(hers)
    hers.click("Ownership")
    assert "is offering you ownership" in hers.page.text and "I retire" in hers.page.text
    hers.click("Accept ownership")
    page = hers.submit()
    assert (
        "You are now the owner" in page.banners[0]
        and acme.staff("GET")["owner"]["given_name"] == "Ann"
    )
    assert hers.get(members(hers, acme)).status == 200

    assert console.get(console.at(f"/c/{acme.id}/ownership")).status == 200
    assert "Transfer ownership" not in console.get(console.page.path).links


def test_an_offer_is_canceled(provider: Provider, console: Browser) -> None:
    acme = provider.customer("Acme")
    ann = acme.member("member", given="Ann")
    acme.owner.sign_in(console)
    console.get(console.at(f"/c/{acme.id}/ownership/new?member={ann.id}"))
    page = console.submit({"reason": "I retire", "typed": " Acme "})
    page = console.get(page.links["Cancel offer"])
    page = console.submit()
    assert page.rows[0][4] == "Canceled" and "Cancel offer" not in page.links


def test_opening_an_invitation_does_not_use_it(
    provider: Provider, browser: Callable[[], Browser], whole: Whole
) -> None:
    acme, hers = provider.customer("Acme & <Sons>"), browser()
    ann = acme.member("member", given="Ann", accept=False)
    link = whole.link(ann.email)
    for _ in range(2):
        page = hers.get(link)
        assert page.status == 200 and page.headings == ["Join Acme & <Sons>"] and not page.banners
        assert page.headers["Referrer-Policy"] == "no-referrer" and ann.email in page.text
    assert "Use 15 to 128 characters" in page.text and 'autocomplete="new-password"' in page.html
    page = hers.submit({"password": "too little"})
    assert (
        page.status == 422
        and "15 to 128" in page.error("password")
        and "too little" not in page.html
    )
    page = hers.submit({"password": NEW})
    assert page.status == 200 and page.headings == ["You have joined Acme & <Sons>"]
    for method in ("GET", "POST"):
        page = hers.send(method, link, {"password": NEW} if method == "POST" else None)
        assert page.status == 410 and "no longer works" in page.headings[0]
    assert "Request a new invitation" in page.buttons
    assert hers.submit().headings == ["Request sent"]
    assert hers.sign_in(ann.email, NEW).status == 200


def test_a_link_asks_nobody_for_a_second_password(
    console: Browser, provider: Provider, whole: Whole, browser: Callable[[], Browser]
) -> None:
    acme, globex, hers = provider.customer("Acme"), provider.customer("Globex"), browser()
    ann = acme.member("member", given="Ann", accept=False)
    first = whole.link(ann.email)
    body = {"name": "Ann Tester", "email": ann.email, "portal_access": True, "role": "member"}
    added = globex.staff("POST", "/members", body)
    second = whole.link(ann.email)
    other_tab = browser()
    assert "password" in other_tab.get(second).forms[-1].names
    hers.send("POST", first, {"password": NEW})

    page = other_tab.submit({"password": "another quiet heron waits"})

    assert globex.staff("GET", f"/members/{added['id']}")["status"] == "pending"
    assert page.status == 200 and "password" not in page.forms[-1].names
    assert "You already have a password, and you keep it." in page.text
    assert other_tab.submit().headings == ["You have joined Globex"]
    assert console.sign_in(ann.email, NEW).status == 200


def test_a_browser_that_sends_no_origin_can_use_a_link(
    provider: Provider, console: Browser, whole: Whole
) -> None:
    ann = provider.customer("Acme").member("member", given="Ann", accept=False)
    link, sent = whole.link(ann.email), {"password": NEW}
    assert (
        console.send("POST", link, sent, {"Origin": "null", "Sec-Fetch-Site": "cross-site"}).status
        == 403
    )
    assert console.send("POST", link, sent, {"Origin": "null", "Sec-Fetch-Site": ""}).status == 403
    assert console.send("POST", link, sent, {"Origin": "null"}).status == 200


def test_a_link_for_somebody_else_says_so(console: Browser, acme: Customer, whole: Whole) -> None:
    ann = acme.member("member", given="Ann", accept=False)
    link = whole.link(ann.email)
    page = console.get(link)
    assert (
        acme.provider.email in page.text
        and ann.email in page.text
        and "password" not in page.forms[-1].names
    )
    console.send("POST", link, {"password": NEW})
    assert acme.staff("GET", f"/members/{ann.id}")["status"] == "pending"
    console.get(link)
    page = console.submit(button="Sign out and continue")
    assert page.path == link and "password" in page.forms[-1].names
    assert console.submit({"password": NEW}).headings == ["You have joined Acme"]


def test_an_email_change_is_undone(
    console: Browser, acme: Customer, whole: Whole, browser: Callable[[], Browser]
) -> None:
    ann, hers = acme.member("member", given="Ann"), browser()
    console.post(members(console, acme, f"/{ann.id}/edit"), {"email": f"thief@{acme.word}.example"})
    match = re.search(r"https://app\.example(/undo/\S+)", whole.mail(ann.email))
    assert match
    assert hers.get(match[1]).headings == ["Undo the email change"]
    page = hers.submit()
    assert (
        page.headings == ["Email change undone"] and page.links["Reset your password"] == "/reset"
    )
    assert acme.staff("GET", f"/members/{ann.id}")["email"] == ann.email
    page = hers.get(match[1])
    assert page.status == 410 and "Ask the owner" in page.text


def test_invalid_links(console: Browser, whole: Whole) -> None:
    for at in ("/verify/nothing", "/undo/nothing", "/reset/nothing"):
        page = console.get(at)
        assert page.status == 404 and page.headings == ["This link is not valid"]


def test_a_password_is_reset(
    console: Browser, acme: Customer, whole: Whole, browser: Callable[[], Browser]
) -> None:
    ann, hers, other = acme.member("member", given="Ann"), browser(), browser()
    ann.sign_in(other)
    pages: list[Page] = [
        hers.post("/reset", {"email": email}) for email in (ann.email, "nobody@nowhere.example")
    ]
    assert pages[0].text == pages[1].text and pages[0].headings == ["Check your email"]
    link = whole.link(ann.email)
    assert link.startswith("/reset/")
    hers.get(link)
    assert "Password changed" in hers.submit({"password": NEW}).headings
    assert hers.page.links["Sign in"] == "/sign-in"
    assert other.get(other.at("/me/sessions")).path.startswith("/sign-in")
    page = hers.get(link)
    assert page.status == 410 and page.links["Reset your password"] == "/reset"
    assert (
        hers.sign_in(ann.email, PASSWORD).status == 401
        and hers.sign_in(ann.email, NEW).status == 200
    )
    page = console.post(members(console, acme, f"/{ann.id}/reset-password"))
    assert "expires in 30 minutes" in page.banners[0]


def code(secret: str) -> str:
    return pyotp.TOTP(secret).at(clock.now())


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
        names[0] == "Support" and sum("current" in name for name in names) == 1 and len(names) >= 4
    )
    ended = next(f.action for f in page.forms if f.action.endswith("/end"))
    page = hers.submit(action=ended)
    assert "The session will end within seconds" in page.banners[0] and "Support" not in [
        row[0] for row in page.rows
    ]
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


def test_api_keys(console: Browser, acme: Customer) -> None:
    page = console.get(console.at("/me/keys"))
    assert "No API keys yet" in page.text
    page = console.post(console.at("/me/keys/new"), {"name": "Rating", "scope_usage_write": "on"})
    key = page.facts["API key"]
    assert key.startswith("clk_")
    page = console.click("I've saved the key")
    assert (
        key not in page.html
        and page.rows[0][0].startswith("Rating")
        and page.rows[0][1] == "Report usage"
    )
    page = console.get(page.links["Rotate Rating"])
    page = console.submit({"overlap_minutes": "0"})
    assert page.facts["API key"] not in (key, "")
    console.get(console.at("/me/keys"))
    page = console.get(console.page.links["Delete Rating"])
    page = console.submit()
    assert "No API keys yet" in page.text


def test_an_owner_adopts_the_key_of_somebody_who_has_left(
    console: Browser, provider: Provider, acme: Customer, browser: Callable[[], Browser]
) -> None:
    theirs, max_ = browser(), provider.staff("manager")
    max_.sign_in(theirs)
    theirs.post(theirs.at("/me/keys/new"), {"name": "Sync", "scope_cust_read": "on"})
    key = theirs.page.facts["API key"]
    provider.api("POST", f"/v1/organizations/{provider.id}/members/{max_.id}/disable")

    page = console.get(console.at("/me/keys"))
    assert page.rows[0][5] == "Suspended its creator is disabled"
    console.get(page.links["Adopt Sync"])
    page = console.submit({"overlap_minutes": "0"})
    assert page.facts["API key"] not in (key, "")
    page = console.get(console.at("/me/keys"))
    assert page.rows[0][5] == "Active" and "Adopt Sync" not in page.links
