"""The first load of frequently used pages is small and does not shift; its time is reported."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests import customers, summary
from tests.browser import weights
from tests.browser.conftest import Arrivals
from tests.browser.sites import Customer, Site
from tests.waiting import until

ROWS = 50
PAGES = {
    "sign-in": "/sign-in",
    "home": "{workspace}/home",
    "list": "{workspace}/customers",
    "overview": "{workspace}/c/{org}/overview",
    "payment": "{workspace}/c/{org}/payment",
}


@pytest.fixture(scope="module")
def customer(embedded: Site) -> Customer:
    """A customer with some data, among enough others to fill the list."""
    one = embedded.open()
    there = len(embedded.staff.call("GET", f"/v1/organizations?limit={ROWS}").body["data"])
    with ThreadPoolExecutor(4) as pool:
        opened = [
            pool.submit(embedded.staff.call, "POST", "/v1/organizations", customers.organization())
            for _ in range(there, ROWS)
        ]
    assert {response.result().status for response in opened} <= {201}
    until(
        lambda: (
            not embedded.staff.call("GET", "/v1/organizations?status=provisioning&limit=1").body[
                "data"
            ]
        )
    )
    one.top_up("100.00")
    for amount in range(1, 12):
        one.charge(f"{amount}.00")
    return one


@pytest.mark.parametrize("page", PAGES)
def test_a_first_load_is_within_its_budget(
    arrive: Arrivals, embedded: Site, customer: Customer, page: str
) -> None:
    table = summary.section("first loads in the browser")
    table[:0] = [] if table else [weights.HEAD]
    person = arrive(embedded) if page != "sign-in" else arrive(embedded, "")
    path = PAGES[page].format(workspace=person.at(), org=customer.id)

    weight = weights.weigh(person.context.new_page(), embedded.address + path)

    table.append(weight.row(page))
    assert not weight.beyond()
