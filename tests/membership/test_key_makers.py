"""API keys are suspended with their makers, until an owner adopts them."""

from datetime import timedelta

import pytest
from chassis.auth.actor import Actor
from contracts import membership as messages
from membership import jobs, models
from membership.actions import key_makers
from membership.actions.key_makers import LacksScope
from sqlalchemy import update

MAX = "max@provider.example"


class Setup:
    """A provider with its owner and a manager, and a customer with its owner and an admin."""

    def __init__(self, service):
        self.service = service
        self.owner = service.provider()
        self.provider_id = service.claims(self.owner)["org"]
        self.max_id, self.manager = self.joined(MAX, self.provider_id, "admin")

    def joined(self, address, organization_id, role):
        body = {"name": "Max", "portal_access": True, "role": role, "email": address}
        path = f"/v1/organizations/{organization_id}/members"
        member = self.service.call("POST", path, body, token=self.owner)
        assert member.status_code == 201, member.text
        self.service.accept(address)
        return member.json["id"], self.service.log_in(address)["access_token"]

    def make(self, *scopes, token=None):
        body = {"name": f"Sync {' '.join(scopes)}", "scopes": scopes}
        made = self.service.call("POST", "/v1/api-keys", body, token=token or self.manager)
        assert made.status_code == 201, made.text
        return made.json

    def exchange(self, key):
        return self.service.call("POST", "/v1/sessions", {"api_key": key["api_key"]})

    def change(self, method, rest="", body=None):
        path = f"/v1/organizations/{self.provider_id}/members/{self.max_id}{rest}"
        answer = self.service.call(method, path, body, token=self.owner)
        assert answer.status_code in (200, 204), answer.text

    def adopt(self, key, token=None):
        path = f"/v1/api-keys/{key['id']}/adopt"
        return self.service.call("POST", path, token=token or self.owner)

    def statuses(self, token=None):
        keys = self.service.call("GET", "/v1/api-keys", token=token or self.owner).json["data"]
        return {key["name"]: (key["status"], key["suspended_because"]) for key in keys}

    def audited(self):
        rows = self.service.published(messages.AuditRecorded)
        return [row for row in rows if row.action.startswith("api_key.")]


@pytest.fixture
def setup(service):
    return service.prepared("key makers", lambda: Setup(service))


@pytest.mark.parametrize(
    ("change", "because"),
    [
        (("POST", "/disable"), "maker_disabled"),
        (("DELETE",), "maker_left"),
        (("PATCH", "", {"email": "max@elsewhere.example"}), "maker_left"),
        (("PATCH", "", {"role": "member", "preset": "billing"}), "maker_lacks_scope"),
    ],
)
def test_a_key_stops_working_with_its_maker(setup, change, because):
    key, others = setup.make("member:manage"), setup.make("cust:read", token=setup.owner)
    token = setup.exchange(key).json["access_token"]

    setup.change(*change)
    if "email" in change[-1]:
        setup.service.accept(change[-1]["email"])

    refused = setup.exchange(key)
    assert (refused.status_code, refused.json["code"]) == (401, "key_suspended")
    assert setup.service.is_revoked(token)
    assert setup.statuses() == {
        "Sync member:manage": ("suspended", because),
        "Sync cust:read": ("active", None),
    }
    assert setup.exchange(others).status_code == 201
    row = setup.audited()[-1]
    assert (row.action, row.actor["kind"], row.target["id"]) == (
        "api_key.suspended",
        "system",
        key["id"],
    )
    [mail] = [m for m in setup.service.send_mails() if "API keys" in m["Subject"]]
    assert mail["To"] == "admin@example.com"
    assert "* Sync member:manage, created by Max" in mail.get_content()


def test_a_maker_who_may_still_do_it_keeps_the_key(setup):
    key = setup.make("cust:read")
    token = setup.exchange(key).json["access_token"]

    setup.change("PATCH", "", {"role": "member", "preset": "billing"})
    setup.change("PATCH", "", {"name": "Maximilian"})

    assert setup.exchange(key).status_code == 201
    assert not setup.service.is_revoked(token)


def test_a_former_owner_of_a_customer_loses_the_keys_of_owners(setup):
    organization_id, olga = setup.service.owner(provider_id=setup.provider_id)
    adam_id, _ = setup.joined("adam@customer.example", organization_id, "admin")
    kept, lost = setup.make("members:read", token=olga), setup.make("org:write", token=olga)
    path = f"/v1/organizations/{organization_id}/ownership-transfers"
    body = {"member_id": adam_id, "reason": "Olga leaves"}

    assert setup.service.call("POST", path, body, token=setup.owner).status_code == 201

    assert setup.exchange(kept).status_code == 201
    assert setup.exchange(lost).json["code"] == "key_suspended"


def test_a_suspended_key_stays_so_until_an_owner_adopts_it(setup):
    key = setup.make("cust:read")
    setup.change("POST", "/disable")
    setup.change("POST", "/enable")
    assert setup.exchange(key).json["code"] == "key_suspended"
    manager = setup.service.log_in(MAX)["access_token"]
    assert setup.adopt(key, manager).status_code == 403
    assert setup.exchange(key).json["code"] == "key_suspended"

    adopted = setup.adopt(key)

    assert adopted.status_code == 200, adopted.text
    shown = adopted.json
    assert shown["rotate_recommended"] is True and "api_key" not in shown
    assert (shown["status"], shown["suspended_because"]) == ("active", None)
    assert shown["created_by"]["name"] != "Max" and shown["secrets"]["live"] == 1
    token = setup.exchange(key).json["access_token"]
    assert not setup.service.is_revoked(token)
    setup.change("DELETE")
    assert setup.exchange(key).status_code == 201, "it has another maker now"
    row = next(row for row in setup.audited() if row.action == "api_key.adopted")
    assert [change["field"] for change in row.changes] == ["maker", "status"]
    assert row.changes[0]["before"] == "Max"


def test_only_a_live_key_of_the_own_organization_is_adopted(setup):
    key = setup.make("cust:read")
    _, stranger = setup.service.owner("sam@other.example", name="Other")
    assert setup.adopt(key, stranger).status_code == 404
    setup.service.clock.advance(days=366)
    owner = setup.service.log_in("admin@example.com")["access_token"]
    assert setup.adopt(key, owner).json["code"] == "key_expired"


def test_who_could_not_grant_a_scope_of_the_key_does_not_adopt_it(setup):
    key = setup.make("cust:read", "pay:read")
    owner = Actor(kind="staff", id=setup.service.claims(setup.owner)["sub"], label="Owner")

    with pytest.raises(LacksScope), setup.service.database.transaction() as session:
        key_makers.adopt_key(
            session,
            organization_id=setup.provider_id,
            key_id=key["id"],
            grantable=frozenset({"cust:read"}),
            by=owner,
            now=setup.service.clock.now(),
        )


@pytest.mark.parametrize("change", ["removed", "disabled", "demoted"])
def test_a_token_that_outlives_its_access_makes_no_key(setup, change):
    """The gateway accepts a revoked token for up to two seconds."""
    colleagues = setup.make("cust:read", token=setup.owner)
    if change == "removed":
        setup.change("DELETE")
    elif change == "disabled":
        setup.change("POST", "/disable")
    else:
        setup.change("PATCH", body={"role": "member", "preset": "viewer"})

    body = {"name": "For later", "scopes": ["cust:read"]}
    made = setup.service.call("POST", "/v1/api-keys", body, token=setup.manager)
    path = f"/v1/api-keys/{colleagues['id']}/rotate"
    rotated = setup.service.call("POST", path, {"overlap_minutes": 0}, token=setup.manager)

    assert (made.status_code, made.json["code"]) == (403, "forbidden")
    assert (rotated.status_code, rotated.json["code"]) == (403, "forbidden")
    assert setup.exchange(colleagues).status_code == 201


def test_old_keys_of_makers_who_have_left_are_announced_and_suspended_later(setup):
    kept, lost, adopted = (setup.make(s) for s in ("cust:read", "org:create", "pay:read"))
    assert setup.adopt(kept).status_code == 200
    with setup.service.database.transaction() as session:
        session.execute(update(models.ApiKey).values(unchecked=True))
    setup.change("DELETE")
    assert setup.exchange(lost).status_code == 201, "it is older than the rule"
    setup.service.send_mails()

    run_job(setup)
    [mail] = [m for m in setup.service.send_mails() if "will be suspended" in m["Subject"]]
    assert "Sync org:create" in mail.get_content() and "cust:read" not in mail.get_content()
    assert setup.adopt(adopted).status_code == 200
    setup.service.clock.advance(days=29)
    run_job(setup)
    assert setup.exchange(lost).status_code == 201

    setup.service.clock.advance(days=2)
    run_job(setup)
    assert setup.exchange(lost).json["code"] == "key_suspended"
    assert setup.exchange(kept).status_code == setup.exchange(adopted).status_code == 201


def test_a_key_expires_after_a_year_unless_its_maker_says_otherwise(setup):
    made = setup.make("cust:read")
    body = {"name": "Forever", "scopes": ["cust:read"], "expires_at": None}
    forever = setup.service.call("POST", "/v1/api-keys", body, token=setup.manager).json

    assert made["expires_at"][:4] == str((setup.service.clock.now() + timedelta(days=365)).year)
    assert forever["expires_at"] is None


def run_job(setup):
    while jobs.suspend_keys(setup.service.database, setup.service.clock.now(), None):
        pass
