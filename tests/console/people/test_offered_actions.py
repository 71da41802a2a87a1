"""What a member's page offers, by role and by who manages the customer."""

from collections.abc import Callable

from tests.console.browser import Browser
from tests.console.people.conftest import members
from tests.console.provider import Customer, Provider


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


def test_the_owner_has_to_transfer_first(console: Browser, acme: Customer) -> None:
    at = members(console, acme, f"/{acme.owner.id}")
    page = console.get(at)
    assert {"Disable", "Remove", "Make owner"}.isdisjoint(
        page.links
    ) and "exactly one" in page.banners[0]
    assert page.links["Choose a new owner"].endswith("/ownership/new")
    page = console.post(at + "/disable")
    assert page.status == 409 and "Transfer the ownership" in page.banners[0]


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
