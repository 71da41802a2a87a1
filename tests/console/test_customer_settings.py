"""A customer is changed, and handed over."""

from collections.abc import Callable

from tests.console.browser import Browser, Page
from tests.console.provider import Provider


def test_settings_are_saved_and_the_billing_name_follows(
    console: Browser, provider: Provider
) -> None:
    acme = provider.customer("Acme")
    provider.owner.sign_in(console)
    page = console.get(console.at(f"/c/{acme.id}/settings"))
    assert (
        "is the same as the organization's name" in page.text
        and page.forms[-1].fields["billing_name"] == ""
    )

    page = console.submit(
        {"name": "Acme & Co", "customer_ref": "7", "demo": "on", "billing_address": "Kai 1\nHafen"}
    )

    assert page.banners == ["Settings saved."]
    assert (acme.now["name"], acme.now["billing"]["name"], acme.now["demo"]) == (
        "Acme & Co",
        "Acme & Co",
        True,
    )
    assert acme.now["billing"]["address"].splitlines() == ["Kai 1", "Hafen"]
    console.submit({"billing_name": "Acme Holding"})
    console.submit({"name": "Acme again", "customer_ref": ""})
    assert (acme.now["billing"]["name"], acme.now["buyer_tags"]) == ("Acme Holding", {})
    console.submit({"billing_name": ""})
    assert acme.now["billing"]["name"] == "Acme again", "it follows again"
    page = console.submit({"name": "", "billing_email": "nowhere"})
    assert page.status == 422 and page.error("name") and page.error("billing_email")


def test_a_conflict_shows_current_and_entered_values(console: Browser, provider: Provider) -> None:
    acme = provider.customer("Acme")
    provider.owner.sign_in(console)
    console.get(console.at(f"/c/{acme.id}/settings"))
    acme.staff("PATCH", "", {"name": "Acme of somebody else"})

    page = console.submit({"name": "Acme of mine"})

    assert page.status == 412 and page.rows == [
        ["Organization name", "Acme of somebody else", "Acme of mine"]
    ]
    assert acme.now["name"] == "Acme of somebody else"
    assert "Discard my changes" in page.links
    console.submit(button="Overwrite and save")
    assert acme.now["name"] == "Acme of mine"


def test_each_role_sees_only_what_it_may(
    browser: Callable[[], Browser], provider: Provider
) -> None:
    acme = provider.customer("Acme")
    viewer, support, owner, admin = browser(), browser(), browser(), browser()
    provider.staff("viewer").sign_in(viewer)
    provider.staff("support").sign_in(support)
    acme.owner.sign_in(owner)
    acme.member("admin").sign_in(admin)

    def settings(console: Browser) -> Page:
        return console.get(console.at(f"/c/{acme.id}/settings"))

    page = settings(viewer)
    assert "Save" not in page.buttons and not {"Suspend", "Delete", "Transfer ownership"} & set(
        page.links
    )
    page = settings(support)
    assert "Save settings" in page.buttons and "customer_ref" in page.forms[-1].names
    assert not {"Suspend", "Delete", "Transfer ownership"} & set(page.links)
    page = settings(owner)
    assert "Save settings" in page.buttons and "customer_ref" not in page.forms[-1].names
    assert "Transfer ownership" in page.links and not {"Suspend", "Delete"} & set(page.links)
    owner.submit({"name": "Acme by its owner", "billing_email": "new@acme.example"})
    assert (acme.now["name"], acme.now["billing"]["email"]) == (
        "Acme by its owner",
        "new@acme.example",
    )
    assert "Save" not in settings(admin).buttons
    for console in (viewer, support, owner, admin):
        assert console.get(console.at(f"/c/{acme.id}/settings/suspend")).status == 403
        assert console.get(console.at("/customers/new")).status == 403
    for console in (owner, admin):
        assert console.get(console.at(f"/c/{acme.id}/delete")).status == 403
        assert console.get(console.at("/provider/settings")).status == 403
    page = support.get(support.at(f"/c/{acme.id}/delete"))
    assert page.status == 200 and not [one for one in page.buttons if "delete" in one]


def test_management_is_handed_over_and_back(
    browser: Callable[[], Browser], provider: Provider
) -> None:
    acme = provider.customer("Acme")
    boss, owner = browser(), browser()
    provider.owner.sign_in(boss)
    acme.owner.sign_in(owner)

    boss.post(boss.at(f"/c/{acme.id}/settings/hand-over"))
    assert acme.now["managed_by"] == "customer"
    assert "Let the provider manage" not in boss.page.links
    owner.get(owner.at(f"/c/{acme.id}/settings"))
    owner.click("Let the provider manage")
    owner.submit()
    assert acme.now["managed_by"] == "provider"
