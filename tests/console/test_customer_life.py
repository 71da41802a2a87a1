"""A customer's life: created, changed, suspended, activated, deleted; and the provider's own
pages."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.console.browser import ORIGIN, Browser, Page
from tests.console.provider import PASSWORD, Customer, Provider

ORGANIZATION = {"name": "Söhne & Töchter", "country": "DE", "pricing_model": "license"}
BILLING = {"billing_email": "bills@soehne.example", "billing_city": "Kiel", "customer_ref": "K-17"}
OWNER = {"given_name": "Ada", "family_name": "Nord", "email": "ada@soehne.example"}


def fill_in(
    console: Browser,
    *,
    organization: dict[str, str] | None = None,
    billing: dict[str, str] | None = None,
    owner: dict[str, str] | None = None,
) -> Page:
    """The three pages of the wizard; answers the fourth."""
    console.get(console.at("/customers/new"))
    console.submit(ORGANIZATION | (organization or {}), button="Continue")
    console.submit(BILLING | (billing or {}), button="Continue")
    return console.submit(OWNER | (owner or {}), button="Continue")


def customers(provider: Provider) -> list[dict[str, object]]:
    return list(provider.api("GET", "/v1/organizations")["data"])


def test_submitting_twice_creates_one_customer(console: Browser, provider: Provider) -> None:
    provider.owner.sign_in(console)
    page = fill_in(console)
    assert page.facts["Currency"].startswith("EUR") and page.facts["Time zone"].startswith(
        "Europe/Berlin"
    )
    assert page.facts["Billing name"] == "Söhne & Töchter (same as organization name)"
    assert page.text.count("Permanent") == 5, "four facts, and the line that explains it"
    form = page.forms[-1]

    once = console.send("POST", form.action, form.fields)
    twice = console.send("POST", form.action, form.fields)

    assert once.status == 303 and once.location == twice.location
    (made,) = customers(provider)
    assert (made["name"], made["pricing_model"], made["status"]) == (
        "Söhne & Töchter",
        "license",
        "active",
    )
    assert made["billing"] == {
        "name": "Söhne & Töchter",
        "email": "bills@soehne.example",
        "address": None,
        "city": "Kiel",
    }
    assert made["buyer_tags"] == {"CustomerRef": "K-17"}
    assert "was created" in console.follow().banners[0]
    assert console.get(console.at("/customers/new")).forms[-1].fields["name"] == "", (
        "the draft is gone"
    )


def test_a_draft_keeps_answers_between_steps(console: Browser, provider: Provider) -> None:
    provider.owner.sign_in(console)
    console.get(console.at("/customers/new"))
    console.submit(ORGANIZATION, button="Continue")

    page = console.submit({"billing_city": "Kiel"}, button="Back")
    assert page.headings[1] == "Organization"
    assert page.forms[-2].fields["name"] == ORGANIZATION["name"]

    page = console.get(
        console.at("/customers/new")
    )  # another day, or another tab: it goes on where it was
    assert page.headings[1] == "Billing" and page.forms[-2].fields["billing_city"] == "Kiel"

    page = console.submit(button="Start over")
    assert page.forms[-1].fields["name"] == "" and page.headings[1] == "Organization"


def test_a_lost_draft_loses_no_answers(console: Browser, provider: Provider) -> None:
    provider.owner.sign_in(console)
    form = fill_in(console).forms[-1]

    page = console.send(
        "POST", form.action, form.fields | {"draft": "drf_01h455vb4pex5vsknk084sn02q"}
    )

    assert page.status == 303 and customers(provider)[0]["name"] == ORGANIZATION["name"]


def test_a_session_that_ends_midway_loses_nothing(console: Browser, provider: Provider) -> None:
    provider.owner.sign_in(console)
    console.get(console.at("/customers/new"))
    console.submit(ORGANIZATION, button="Continue")
    console.client.delete_cookie("clientele", domain="127.0.0.1")

    console.submit({"billing_city": "Kiel"}, button="Continue")
    page = console.submit({"email": provider.email, "password": PASSWORD})

    assert page.headings[1] == "Billing" and "We restored your entries" in page.banners[0]
    assert (
        page.forms[-2].fields["billing_city"] == "Kiel"
        and page.forms[-2].fields["name"] == ORGANIZATION["name"]
    )


def test_missing_answers_are_shown_at_their_fields(console: Browser, provider: Provider) -> None:
    provider.owner.sign_in(console)
    console.get(console.at("/customers/new"))

    page = console.submit({"name": "A", "country": "US"}, button="Continue")

    assert page.status == 422 and page.title.startswith("Error:")
    assert page.error("name") and page.error("pricing_model")
    assert "more than one" in page.error("timezone") and not page.error("currency")
    assert page.forms[-2].options("timezone")[1] == "America/Adak", (
        "those of the country come first"
    )
    page = console.submit(
        {"name": "Ab", "timezone": "America/Boise", "pricing_model": "app"}, button="Continue"
    )
    page = console.submit(BILLING | {"payment_mode": "postpaid"}, button="Continue")
    assert "limit" in page.error("credit_limit")


@pytest.mark.parametrize(
    ("where", "fields", "wrong"),
    [
        ("organization", {"organization": {"name": "Comma, not allowed"}}, "name"),
        (
            "billing",
            {"billing": {"payment_mode": "postpaid", "credit_limit": "1,000"}},
            "credit_limit",
        ),
        ("owner", {"owner": {"email": "not an address"}}, "email"),
    ],
)
def test_a_refusal_leads_back_to_the_step_with_the_field(
    console: Browser, provider: Provider, where: str, fields: dict[str, dict[str, str]], wrong: str
) -> None:
    provider.owner.sign_in(console)
    fill_in(console, **fields)

    page = console.submit(button="Create organization")

    assert page.status == 422 and page.headings[1] == where.capitalize() and page.error(wrong)
    assert not customers(provider)
    right = {"name": "Sound", "credit_limit": "1000", "email": "ada@soehne.example"}[wrong]
    console.submit({wrong: right}, button="Continue")
    assert console.submit(button="Create organization").path.endswith("/overview")


def test_a_duplicate_name_is_shown_before_creation(console: Browser, provider: Provider) -> None:
    provider.customer(ORGANIZATION["name"].upper(), accept=False)
    provider.customer(f"{ORGANIZATION['name']} too", accept=False)
    provider.owner.sign_in(console)

    page = fill_in(console)

    assert "Another customer has this name" in page.banners[0]


def test_a_customer_being_set_up_shows_a_banner(console: Browser, provider: Provider) -> None:
    provider.owner.sign_in(console)
    body = {
        **ORGANIZATION,
        "currency": "EUR",
        "timezone": "Europe/Berlin",
        "billing": {"email": "b@soehne.example"},
        "owner": OWNER,
    }
    signed_in = provider.system.call(
        "POST", "/v1/sessions", {"email": provider.email, "password": PASSWORD}
    )
    token = (signed_in.json or {})["access_token"]
    made = provider.system.call("POST", "/v1/organizations", body, token=token).json or {}

    path = console.at(f"/c/{made['id']}/settings")
    page = Page(path, console.client.open(path, base_url=ORIGIN))  # no message is delivered
    (banner,) = page.top.find(id="status")

    assert banner.text.startswith("Being set up.") and banner.attrs["hx-trigger"] == "every 2s"
    assert "Save" not in page.buttons
    response = console.send(
        "GET", banner.attrs["hx-get"], headers={"HX-Current-URL": f"{ORIGIN}{page.path}"}
    )
    assert response.headers["HX-Redirect"] == page.path, "by now it is done"


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
            "10.00 EUR",
            "Withdraw credits",
            "/payment/withdraw",
        ),
        (owing_prepaid, "10.00 EUR", "Top up", "/payment/top-up"),
        (reserved, "10.00 EUR", "View reservations", "/payment#reservations"),
        (lambda p: postpaid(p, "charge"), "10.00 EUR", "Issue invoice", "/invoices/issue"),
        (
            lambda p: postpaid(p, "charge", "invoice"),
            "10.00 EUR",
            "Record payment",
            "/payments/record",
        ),
        (
            lambda p: postpaid(p, "pay"),
            "25.00 EUR",
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
    assert "29 days left" in page.text and page.facts["Reason"] == "gone"
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


def test_the_provider_chooses_its_settings(console: Browser, provider: Provider) -> None:
    provider.owner.sign_in(console)
    console.get(console.at("/provider/settings"))

    page = console.submit({"managed_service": "on", "payment_terms_days": "30"}, button="Add rate")
    assert (
        page.forms[-1].fields["payment_terms_days"] == "30" and "tax_0_rate" in page.forms[-1].names
    )
    console.submit(
        {
            "tax_0_country": "DE",
            "tax_0_name": "MwSt",
            "tax_0_rate": "19",
            "tax_0_valid_from": "2026-01-01",
        },
        button="Add rate",
    )
    page = console.submit(
        {"tax_1_country": "FR", "tax_1_name": "TVA", "tax_1_rate": "a lot"}, button="Save settings"
    )
    assert page.status == 422 and page.error("tax_1_rate") and page.error("tax_1_valid_from")
    page = console.submit(button="Remove rate 1")
    assert page.forms[-1].fields["tax_0_name"] == "TVA"
    page = console.submit(
        {"tax_0_rate": "20", "tax_0_valid_from": "2026-02-01"}, button="Save settings"
    )

    assert page.banners == ["Settings saved."]
    now = provider.api("GET", "/v1/settings")
    assert now["tax_rates"] == [
        {"country": "FR", "name": "TVA", "rate": "20", "valid_from": "2026-02-01"}
    ]
    assert (now["managed_service"], now["payment_terms_days"], now["mfa_required"]) == (
        True,
        30,
        False,
    )
    assert page.links["Staff"] == console.at(f"/c/{provider.id}/members")


def test_conflicting_and_read_only_settings(
    browser: Callable[[], Browser], provider: Provider
) -> None:
    boss, viewer = browser(), browser()
    provider.owner.sign_in(boss)
    boss.get(boss.at("/provider/settings"))
    provider.api("PATCH", "/v1/settings", {"payment_terms_days": 7})

    page = boss.submit({"deletion_grace_days": "10"}, button="Save settings")
    assert page.status == 412 and ["Payment terms", "7", "14"] in page.rows
    provider.staff("viewer").sign_in(viewer)
    page = viewer.get(viewer.at("/provider/settings"))
    assert page.facts["Payment terms"] == "7" and "Save" not in page.buttons
    assert viewer.get(viewer.at("/provider/wallet/top-up")).status == 403


def test_the_wallet_explains_its_formula(console: Browser, provider: Provider) -> None:
    provider.customer(credits="40", accept=False)
    provider.owner.sign_in(console)
    page = console.get(console.at("/provider/wallet"))
    assert "Usable = own balance \N{MINUS SIGN} sum of customers' balances" in page.text

    console.click("Top up EUR")
    page = console.submit({"amount": "100"})

    assert page.banners == ["Top-up recorded."]
    cells = [cell.replace("\N{NO-BREAK SPACE}", " ") for cell in page.rows[0]]
    assert cells[:4] == ["EUR", "100.00 EUR", "40.00 EUR", "60.00 EUR"]


def test_each_page_needs_few_statements(console: Browser, provider: Provider) -> None:
    acme = provider.customer("Acme", credits="10")
    provider.owner.sign_in(console)
    fill_in(console)
    draft = parse_qs(urlsplit(console.page.path).query)["draft"][0]
    for path in (
        "/customers/new/organization",
        f"/customers/new/check?draft={draft}",
        f"/c/{acme.id}/settings",
        f"/c/{acme.id}/delete",
        "/provider/settings",
        "/provider/wallet",
    ):
        assert len(console.statements(console.at(path))) <= 12, path
