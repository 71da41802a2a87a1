"""The provider's own settings and wallet."""

from collections.abc import Callable

from tests.console.browser import Browser
from tests.console.provider import Provider


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


def test_a_second_rate_from_the_same_day_is_an_error_at_its_day(
    console: Browser, provider: Provider
) -> None:
    provider.owner.sign_in(console)
    rate = {"country": "DE", "name": "MwSt", "rate": "19", "valid_from": "2026-01-01"}
    provider.api("PATCH", "/v1/settings", {"tax_rates": [rate]})
    console.get(console.at("/provider/settings"))
    console.submit({}, button="Add rate")

    typed = {f"tax_1_{name}": value for name, value in {**rate, "rate": "16"}.items()}
    page = console.submit(typed, button="Save settings")

    assert page.status == 422
    assert "begins on the same day" in page.error("tax_1_valid_from")
    assert not page.error("tax_0_valid_from")
    assert provider.api("GET", "/v1/settings")["tax_rates"] == [rate]


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
    assert cells[:4] == ["EUR", "EUR 100.00", "EUR 40.00", "EUR 60.00"]


def test_a_top_up_of_the_wallet_is_listed_and_reversed(
    browser: Callable[[], Browser], provider: Provider
) -> None:
    boss, viewer = browser(), browser()
    for currency, amount in (("EUR", "100"), ("EUR", "7"), ("CHF", "3")):
        body = {"amount": amount, "currency": currency, "remark": f"paid {amount}"}
        provider.api("POST", "/v1/wallet/top-ups", body)
    provider.owner.sign_in(boss)
    page = boss.get(boss.at("/provider/wallet?currency=EUR"))
    assert "paid 3" not in page.text and "paid 7" in page.text

    spaced = {words.replace("\N{NO-BREAK SPACE}", " "): words for words in page.links}
    page = boss.click(spaced["Reverse Wallet top-up EUR 100.00"])
    amount = page.facts["Amount"].replace("\N{NO-BREAK SPACE}", " ")
    assert amount == "+EUR 100.00"
    page = boss.submit({"reason": ""}, button="Reverse top-up")
    assert page.status == 422 and page.error("reason")
    page = boss.submit({"reason": "Typed in twice"}, button="Reverse top-up")

    assert page.banners and page.banners[0].startswith("Reversed with a transaction of")
    assert "Typed in twice" in page.text and "Reversed" in page.text
    (euro,) = [row for row in provider.api("GET", "/v1/wallet")["data"] if row["currency"] == "EUR"]
    assert euro["balance"] == "7.00"
    provider.staff("viewer").sign_in(viewer)
    page = viewer.get(viewer.at("/provider/wallet"))
    assert "Typed in twice" in page.text
    assert not [words for words in page.links if words.startswith("Reverse")]


def test_a_reversal_of_what_customers_have_is_refused(console: Browser, provider: Provider) -> None:
    provider.api("POST", "/v1/wallet/top-ups", {"amount": "30", "currency": "EUR"})
    provider.customer(credits="40", accept=False)
    provider.owner.sign_in(console)
    page = console.get(console.at("/provider/wallet"))
    console.click(next(words for words in page.links if words.startswith("Reverse")))

    page = console.submit({"reason": "x"}, button="Reverse top-up")

    assert page.status == 409 and "customers have a part of it" in page.text
