"""Only the owner of a customer decides whether its people need one-time codes."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from chassis.db import migrations
from chassis.runtime import ids
from contracts import org
from org.app import SERVICE

from tests.org.conftest import World
from tests.org.organizations.sample import GOOD
from tests.org.test_upgrade import filled

ACT = {"sub": "idn_staff", "org": "org_x", "sid": "ses_x", "access": "full"}
KEY = {"role": "api_key", "scope": "org:write cust:write members:edit"}


def change(world: World, organization_id: str, body: Any, **who: Any) -> Any:
    return world.call("PATCH", f"/organizations/{organization_id}", body, **who)


def test_the_owner_requires_codes_and_no_longer(world: World) -> None:
    customer = world.active()
    path = f"/organizations/{customer}"
    before = world.call("GET", path, org=customer)

    on = change(world, customer, {"mfa_required": True}, org=customer)
    off = change(world, customer, {"mfa_required": False}, org=customer)

    assert before.json["mfa_required"] is False
    assert (on.status_code, on.json["mfa_required"]) == (200, True)
    assert (off.status_code, off.json["mfa_required"]) == (200, False)
    parts = [answer.headers["ETag"].partition(".")[0] for answer in (before, on)]
    assert parts[0] != parts[1], "If-Match notices the change"
    assert [m.mfa_required for m in world.published(org.OrganizationChanged)] == [True, False]
    rows = [m for m in world.published(org.AuditRecorded) if m.action == "organization.changed"]
    assert rows[0].changes == [{"field": "mfa_required", "before": False, "after": True}]


def test_another_change_publishes_that_codes_are_required(world: World) -> None:
    customer = world.active()
    change(world, customer, {"mfa_required": True}, org=customer)

    renamed = change(world, customer, {"name": "Acme Holding"})

    assert renamed.json["mfa_required"] is True
    assert world.published(org.OrganizationChanged)[-1].mfa_required is True


def test_nobody_else_requires_codes_of_a_customers_people(world: World) -> None:
    customer = world.active()
    others: list[dict[str, Any]] = [{"role": role} for role in ("owner", "manager", "support")]
    others += [{"role": role, "org": customer} for role in ("admin", "member")]
    others += [{"org": customer, "act": ACT | {"mode": m}} for m in ("login_as", "remote_support")]
    others += [KEY, KEY | {"org": customer}]

    for who in others:
        refused = change(world, customer, {"name": "Mine", "mfa_required": True}, **who)
        assert (refused.status_code, refused.json["code"]) == (403, "forbidden"), who
        assert "owner" in refused.json["detail"], who

    shown = world.call("GET", f"/organizations/{customer}").json
    assert (shown["name"], shown["mfa_required"]) == ("Acme Ltd", False)
    assert world.published(org.OrganizationChanged) == []


def test_it_is_not_chosen_when_a_customer_is_created(world: World) -> None:
    refused = world.call("POST", "/organizations", GOOD | {"mfa_required": True})

    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json["errors"]] == ["/mfa_required"]


@pytest.mark.parametrize("value", [None, "true", 1])
def test_it_is_true_or_false(world: World, value: Any) -> None:
    customer = world.active()

    assert change(world, customer, {"mfa_required": value}, org=customer).status_code == 422


def test_of_the_provider_it_is_what_the_settings_say(world: World) -> None:
    refused = change(world, world.provider, {"mfa_required": True})
    chosen = world.call("PATCH", "/settings", {"mfa_required": True})

    assert (refused.status_code, chosen.status_code) == (403, 200)
    assert "PATCH /v1/settings" in refused.json["detail"]
    shown = world.call("GET", f"/organizations/{world.provider}").json
    assert shown["mfa_required"] is True
    world.call("PATCH", "/settings", {"mfa_required": False})
    assert world.organization(world.provider).mfa_required is False


def test_existing_providers_keep_what_they_require(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    migrations.upgrade(SERVICE.migrations, url, "0007")
    engine = sa.create_engine(url)
    tables = sa.MetaData()
    tables.reflect(engine)
    organizations, settings = tables.tables["organizations"], tables.tables["provider_settings"]
    rows = {name: ids.new_uuid().hex for name in ("strict", "lax", "new", "customer")}
    with engine.begin() as connection:
        for name, one in rows.items():
            provider = rows["strict"] if name == "customer" else one
            row = filled(organizations, id=one, provider_id=provider, name=name)
            connection.execute(sa.insert(organizations).values(row))
        for name, required in (("strict", True), ("lax", False)):
            chosen = {"chosen": {"mfa_required": required}}
            row = filled(settings, provider_id=rows[name]) | chosen
            connection.execute(sa.insert(settings).values(row))

    migrations.upgrade(SERVICE.migrations, url)

    with engine.connect() as connection:
        rows_ = connection.execute(sa.text("SELECT name, mfa_required FROM organizations"))
        kept = {name: required for name, required in rows_}
    engine.dispose()
    assert kept == {"strict": 1, "lax": 0, "new": 0, "customer": 0}
