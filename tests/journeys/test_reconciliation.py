"""``python -m org reconcile`` in distributed mode: over HTTP with org's secret, and by messages."""

import pytest
from billing.models import Account
from chassis.db.database import Database
from devtools.processes import System

from tests import customers


@pytest.mark.exhaustive
def test_the_command_repairs_what_it_may_and_exits_with_1_for_the_rest(system: System) -> None:
    api = customers.sign_in_as_admin(system.address, system.password)
    paths = [customers.open_customer(api) for _ in range(2)]
    frozen, sealed = (path.rpartition("/")[2] for path in paths)
    database = Database(system.database_url("billing"), pool_size=1)

    def set_status(organization_id: str, status: str) -> None:
        with database.transaction() as session:
            session.get_one(Account, organization_id).status = status

    set_status(frozen, "frozen")
    set_status(sealed, "sealed")
    with pytest.raises(RuntimeError, match=f"{frozen} billing state"):
        system.command("org", "reconcile")
    assert api.call("GET", f"{paths[0]}/account").body["status"] == "frozen"
    with pytest.raises(RuntimeError, match=f"{sealed} billing state") as printed:
        system.command("org", "reconcile", "--repair")
    assert frozen not in str(printed.value)
    assert api.call("GET", f"{paths[0]}/account").body["status"] == "open"

    set_status(sealed, "open")
    assert system.command("org", "reconcile") == "0 differences\n"
    database.close()
