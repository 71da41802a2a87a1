"""Pages of a customer's own members, what they type, and how many statements a page takes."""

import pytest

from tests.console.browser import Browser
from tests.console.provider import Customer, Person


@pytest.mark.parametrize("typed", ["\u00b2", "9" * 5000, "1e3", "-"])
def test_an_invalid_amount_is_explained(console: Browser, acme: Customer, typed: str) -> None:
    acme.provider.owner.sign_in(console)
    token = {"csrf": console.page.forms[-1].fields["csrf"]}
    fields = {"reason": "ticket 8", "access": "full", "minutes": typed}
    assert (
        console.send("POST", console.at(f"/c/{acme.id}/support/request"), token | fields).status
        == 422
    )
    for settings in ({"payment_terms_days": typed}, {"rows": typed}, {"do": f"drop-{typed}"}):
        assert (
            console.send("POST", console.at("/provider/settings"), token | settings).status == 422
        )


@pytest.mark.parametrize("role", ["owner", "admin", "member"])
def test_customer_members_see_their_own_organization(
    console: Browser, acme: Customer, role: str
) -> None:
    other = acme.provider.customer("Elsewhere Ltd.")
    (acme.owner if role == "owner" else acme.member(role)).sign_in(console)
    assert console.workspace == acme.id
    waiting, seen = [console.page.path], set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        page = console.get(path)
        assert page.status == 200, (path, page.status, page.text[:300])
        assert "Elsewhere" not in page.text and other.id not in page.html
        waiting += [
            link
            for link in page.links.values()
            if link.startswith("/at/") and "?" not in link and not link.endswith((".csv", ".pdf"))
        ]
    assert (f"/at/{acme.id}/c/{acme.id}/audit" in seen) == (role != "member")
    assert console.get(f"/at/{acme.id}/c/{other.id}/overview").status == 404


@pytest.mark.parametrize("place", ["overview", "support", "audit", "timeline"])
def test_the_number_of_statements_of_a_page(
    console: Browser, acme: Customer, sven: Person, place: str
) -> None:
    sven.sign_in(console)
    console.get(console.at(f"/c/{acme.id}/{place}"))
    statements = console.statements(console.at(f"/c/{acme.id}/{place}"))
    assert len(statements) <= 12, (len(statements), statements)
