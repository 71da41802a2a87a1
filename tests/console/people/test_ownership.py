"""Transfers of ownership."""

import re
from collections.abc import Callable

from org.models import Organization

from tests.console.browser import Browser
from tests.console.people.conftest import members
from tests.console.provider import Customer, Provider
from tests.console.system import Whole


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


def test_the_new_owner_is_shown_before_the_organization_is_told(
    console: Browser, acme: Customer, whole: Whole
) -> None:
    ann = acme.member("admin", given="Ann")
    with whole.databases["org"].reading() as session:
        before = session.get_one(Organization, acme.id).owner
    body = {"member_id": ann.id, "reason": "Olga has left"}
    acme.staff("POST", "/ownership-transfers", body)
    with whole.databases["org"].transaction() as session:
        session.get_one(Organization, acme.id).owner = before

    page = console.get(console.at(f"/c/{acme.id}/ownership"))

    assert f"The owner is Ann Tester ({ann.email})" in page.text


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
