"""The first load of frequently used pages is small, fast, and does not shift."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests import customers, summary
from tests.browser import weights
from tests.browser.conftest import Arrivals
from tests.browser.sites import Customer, Site
from tests.waiting import until

ROWS = 50
# The machine may be busy with something else: the best of these counts.
TRIES = 3
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
    tries = []
    for _ in range(TRIES):
        person = arrive(embedded) if page != "sign-in" else arrive(embedded, "")
        path = PAGES[page].format(workspace=person.at(), org=customer.id)
        tries.append(weights.weigh(person.context.new_page(), embedded.address + path))
        if not tries[-1].beyond():
            break
    best = min(tries, key=lambda one: (len(one.beyond()), one.figures["lcp"]))

    table.append(best.row(page))
    assert not best.beyond()
