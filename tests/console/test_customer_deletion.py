"""A customer is suspended, activated, deleted."""

from collections.abc import Callable

import pytest

from tests.console.browser import Browser
from tests.console.provider import Customer, Provider


def test_suspend_and_activate(console: Browser, provider: Provider) -> None:
    acme = provider.customer("Acme", credits="10")
    provider.owner.sign_in(console)
    console.get(console.at(f"/c/{acme.id}/settings"))

    page = console.click("Suspend")
    assert console.submit().error("reason") and acme.now["status"] == "active"
    page = console.submit({"reason": "unpaid"})
    assert (
        page.banners[0] == "Acme was suspended."
        and "No one in this organization can sign in" in page.banners[1]
    )
    assert acme.now["status"] == "suspended" and "Suspend" not in page.links

    page = console.click("Activate organization")
    page = console.submit()
    assert page.banners == ["Acme is active again."] and acme.now["status"] == "active"


def test_undoing_a_deletion_restores_the_previous_status(
    console: Browser, provider: Provider
) -> None:
    acme = provider.customer("Acme", accept=False)
    acme.suspend()
    acme.delete()
    provider.owner.sign_in(console)

    page = console.post(console.at(f"/c/{acme.id}/settings/activate"))

    assert acme.now["status"] == "suspended"
    assert (
        page.banners[0]
        == "Acme is no longer scheduled for deletion. It is suspended, as it was before."
    )


def owing_prepaid(provider: Provider) -> Customer:
    made = provider.customer(accept=False)
    made.staff("PATCH", "/account", {"credit_limit": "50"})
    made.money("charges", amount="10", kind="usage", description="calls")
    return made


def postpaid(provider: Provider, *steps: str) -> Customer:
    made = provider.customer(payment_mode="postpaid", credit_limit="100", accept=False)
    if "charge" in steps:
        made.money("charges", amount="10", kind="usage", description="calls")
    if "invoice" in steps:
        made.money("invoices")
    if "pay" in steps:
        made.money("payments", amount="25", method="cash")
    return made


def reserved(provider: Provider) -> Customer:
    made = provider.customer(credits="10", accept=False)
    made.money("reservations", amount="10", description="a call")
    return made


@pytest.mark.parametrize(
    ("make", "amount", "link", "leads_to"),
    [
        (
            lambda p: p.customer(credits="10", accept=False),
            "EUR 10.00",
            "Withdraw credits",
            "/payment/withdraw",
        ),
        (owing_prepaid, "EUR 10.00", "Top up", "/payment/top-up"),
        (reserved, "EUR 10.00", "View reservations", "/payment#reservations"),
        (lambda p: postpaid(p, "charge"), "EUR 10.00", "Issue invoice", "/invoices/issue"),
        (
            lambda p: postpaid(p, "charge", "invoice"),
            "EUR 10.00",
            "Record payment",
            "/payments/record",
        ),
        (
            lambda p: postpaid(p, "pay"),
            "EUR 25.00",
            "Withdraw the overpayment",
            "/payment/withdraw",
        ),
    ],
    ids=[
        "credits_left",
        "amount_due, prepaid",
        "credits_reserved",
        "unbilled_amount",
        "amount_due",
        "overpaid",
    ],
)
def test_each_blocker_links_to_its_remedy(
    console: Browser,
    provider: Provider,
    make: Callable[[Provider], Customer],
    amount: str,
    link: str,
    leads_to: str,
) -> None:
    acme = make(provider)
    provider.owner.sign_in(console)

    page = console.get(console.at(f"/c/{acme.id}/delete"))

    assert "must be resolved first" in page.text and amount in page.text.replace(
        "\N{NO-BREAK SPACE}", " "
    )
    assert page.links[link].startswith(console.at(f"/c/{acme.id}/")) and page.links[link].endswith(
        leads_to
    )
    assert not [one for one in page.buttons if "delete" in one], "the button is absent"
    path, _, place = page.links[link].partition("#")
    page = console.get(path)
    assert page.status == 200 and (not place or page.top.find(id=place))


def test_a_deletion_is_confirmed_scheduled_and_undone(console: Browser, provider: Provider) -> None:
    acme = provider.customer("Acme  & Daughters")
    provider.owner.sign_in(console)
    page = console.get(console.at(f"/c/{acme.id}/delete"))
    assert "The account is empty" in page.text and "1 member can no longer sign in" in page.text
    assert "(Europe/Berlin)" in page.text and "for 30 days" in page.text

    page = console.submit({"typed_name": "Acme & Daughters", "reason": "gone"})
    assert page.status == 422 and page.error("typed_name") and acme.now["status"] == "active"
    page = console.submit({"typed_name": " Acme  & Daughters ", "reason": "  "})
    assert page.status == 422 and page.error("reason") and not page.error("typed_name")
    page = console.submit({"typed_name": "Acme  & Daughters", "reason": "gone"})

    assert (
        page.path == console.at(f"/c/{acme.id}/deletion")
        and acme.now["status"] == "suspended_for_deletion"
    )
    assert "30 days left" in page.text and page.facts["Reason"] == "gone"
    assert page.facts["Requested by"] == "First Admin"
    assert console.get(console.at(f"/c/{acme.id}/delete")).path.endswith("/deletion")

    console.click("Activate organization")
    page = console.submit()
    assert acme.now["status"] == "active" and page.banners == ["Acme & Daughters is active again."]
    assert "Canceled" in console.get(console.at(f"/c/{acme.id}/deletion")).text


def test_a_refused_deletion_shows_the_new_blocker(console: Browser, provider: Provider) -> None:
    acme = provider.customer("Acme", accept=False)
    provider.owner.sign_in(console)
    console.get(console.at(f"/c/{acme.id}/delete"))
    acme.money("top-ups", amount="5", method="cash")

    page = console.submit({"typed_name": "Acme", "reason": "gone"})

    assert page.status == 409 and "The organization was not deleted" in page.headings
    assert "Withdraw credits" in page.links and not [one for one in page.buttons if "delete" in one]
    assert acme.now["status"] == "active"


def test_a_deleted_customer_stays_readable(console: Browser, provider: Provider) -> None:
    provider.api("PATCH", "/v1/settings", {"deletion_grace_days": 0})
    acme = provider.customer("Acme", accept=False)
    provider.owner.sign_in(console)
    assert "immediately" in console.get(console.at(f"/c/{acme.id}/delete")).text

    page = console.submit({"typed_name": "Acme", "reason": "gone"})

    assert "Permanently deleted" in console.get(page.path).text and acme.now["status"] == "deleted"
    page = console.get(console.at(f"/c/{acme.id}/settings"))
    assert page.status == 200 and "Deleted." in page.banners[0] and "Save" not in page.buttons
    assert "Sensitive actions" not in page.headings
