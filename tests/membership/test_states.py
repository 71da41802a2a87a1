"""What each state of an organization allows: every operation of the table in every state."""

from typing import Any, NamedTuple

import pytest
from chassis.runtime import ids
from contracts import org
from membership import guard, models
from sqlalchemy import update

from tests.house import endpoints
from tests.house.workspace import SERVICES

MIA, PASSWORD = "mia@customer.example", "four calm otters drift"
STATES = ("provisioning", "open", "suspended", "ended", "erased")


def by_state(*expected: Any) -> dict[str, Any]:
    return dict(zip(STATES, expected, strict=True))


OWN = by_state(*["ok"] * 5)  # what concerns the caller alone, and the way out
READ = by_state(*["ok"] * 5)  # a tombstone once erased
READ_ONE = by_state("ok", "ok", "ok", "ok", 404)
EDIT = by_state(
    "organization_provisioning", "ok", "ok", "organization_closing", "organization_deleted"
)
EDIT_ONE = EDIT | {"erased": 404}
KEYS = by_state(*["organization_suspended"] * 5) | {"open": "ok"}
STEP_IN = by_state(*["organization_not_active"] * 5) | {"open": "ok"}
STEP_IN_AS = STEP_IN | {"erased": 404}
# Once erased they belong there no more, and enter as support if at all.
ENTER = KEYS | {"erased": "organization_not_active"}


class Sample(NamedTuple):
    """A request for an operation: by whom, and the expected response in each state: ``ok`` (2xx),
    an error code or a status. ``{name}`` in path and body stands for the attribute of the setup
    with that name."""

    rule: dict[str, Any]
    by: str
    method: str
    path: str
    body: dict[str, Any] | None = None


O_ = "/v1/organizations/{first}"
SECOND = "/v1/organizations/{second}"
SAMPLES = {
    "me.read": Sample(OWN, "olga", "GET", "/v1/me"),
    "me.update": Sample(OWN, "adam", "PATCH", "/v1/me", {"given_name": "Ada"}),
    "me.leave": Sample(EDIT_ONE, "gus", "DELETE", "/v1/me/memberships/{first}"),
    "me.secure": Sample(OWN, "admin", "POST", "/v1/me/step-up", {"password": PASSWORD}),
    "session.list": Sample(OWN, "olga", "GET", "/v1/sessions"),
    "session.exchange": Sample(
        ENTER, "max", "POST", "/v1/sessions/exchange", {"organization_id": "{first}"}
    ),
    "session.end": Sample(OWN, "vic", "DELETE", "/v1/sessions/current"),
    "session.end_others": Sample(OWN, "max", "DELETE", "/v1/sessions"),
    "key.list": Sample(READ, "olga", "GET", "/v1/api-keys"),
    "key.adopt": Sample(KEYS | {"erased": 404}, "olga", "POST", "/v1/api-keys/{key}/adopt"),
    "key.manage": Sample(
        KEYS, "olga", "POST", "/v1/api-keys", {"name": "K", "scopes": ["members:read"]}
    ),
    "pin.verify": Sample(
        OWN,
        "key",
        "POST",
        "/v1/pins/verify",
        {"organization_id": "{first}", "extension": "{extension}", "pin": "{pin}"},
    ),
    "member.list": Sample(READ, "admin", "GET", f"{O_}/members"),
    "member.read": Sample(READ_ONE, "admin", "GET", f"{O_}/members/{{mia}}"),
    "member.add": Sample(
        EDIT, "admin", "POST", f"{O_}/members", {"name": "New", "portal_access": False}
    ),
    "member.update": Sample(EDIT_ONE, "admin", "PATCH", f"{O_}/members/{{mia}}", {"name": "Mia M"}),
    "member.change_login": Sample(
        EDIT_ONE, "admin", "PATCH", f"{O_}/members/{{late}}", {"role": "admin"}
    ),
    "member.disable": Sample(EDIT_ONE, "admin", "POST", f"{O_}/members/{{idle}}/disable"),
    "member.enable": Sample(EDIT_ONE, "admin", "POST", f"{O_}/members/{{idle}}/enable"),
    "member.remove": Sample(EDIT_ONE, "admin", "DELETE", f"{O_}/members/{{gone}}"),
    "member.resend": Sample(
        EDIT_ONE, "admin", "POST", f"{O_}/members/{{late}}/resend-verification"
    ),
    "member.reset_password": Sample(
        EDIT_ONE, "admin", "POST", f"{O_}/members/{{adam}}/reset-password"
    ),
    "member.reset_mfa": Sample(EDIT_ONE, "admin", "POST", f"{O_}/members/{{adam}}/reset-mfa"),
    "member.end_sessions": Sample(EDIT_ONE, "admin", "POST", f"{O_}/members/{{adam}}/end-sessions"),
    "member.reset_pin": Sample(EDIT_ONE, "admin", "POST", f"{O_}/members/{{desk}}/reset-pin"),
    "member.confirm": Sample(EDIT_ONE, "olga", "POST", f"{O_}/members/{{mia}}/confirm"),
    "member.login_as": Sample(
        STEP_IN_AS, "admin", "POST", f"{O_}/members/{{mia}}/login-as", {"reason": "r"}
    ),
    "ownership.read": Sample(READ, "admin", "GET", f"{O_}/ownership-transfers"),
    "ownership.accept": Sample(EDIT, "adam", "POST", f"{O_}/ownership-transfers/{{offer}}/accept"),
    "ownership.transfer": Sample(
        EDIT, "admin", "POST", f"{O_}/ownership-transfers", {"member_id": "{mia}", "reason": "r"}
    ),
    "ownership.undo": Sample(EDIT, "admin", "DELETE", f"{SECOND}/ownership-transfers/{{transfer}}"),
    "support.overview": Sample(OWN, "admin", "GET", "/v1/remote-support"),
    "support.read": Sample(READ, "admin", "GET", f"{O_}/remote-support"),
    "support.request": Sample(STEP_IN, "max", "POST", f"{O_}/remote-support", {"reason": "r"}),
    "support.consent": Sample(
        STEP_IN, "sam", "POST", f"{SECOND}/remote-support/{{request}}/approve", {}
    ),
    "support.enter": Sample(STEP_IN, "max", "POST", f"{O_}/remote-support/{{grant}}/enter", {}),
    "support.end": Sample(OWN, "admin", "DELETE", f"{O_}/remote-support/{{grant}}"),
}


class Setup:
    """A provider with two customers: the second manages itself, the first has one of everything."""

    def __init__(self, service):
        self.service = service
        self.tokens = {"admin": service.provider()}
        self.provider_id = service.claims(self.tokens["admin"])["org"]
        service.receive(
            org.SettingsChanged(
                provider_id=self.provider_id, version=1, settings={"managed_service": True}
            )
        )
        self.known: dict[str, str] = {}
        self.of_the_first()
        self.of_the_second()
        for name, address in (("max", "max@provider.example"), ("vic", "vic@provider.example")):
            self.join(name, address, self.provider_id, preset="manager")
        service.call(
            "POST",
            self.path("{first}/members"),
            token=self.tokens["admin"],
            body={
                "name": "Max",
                "portal_access": True,
                "role": "member",
                "email": "max@provider.example",
            },
        )
        service.accept("max@provider.example")
        self.refresh = service.log_in(MIA)["refresh_token"]
        self.link = service.link("later@customer.example")
        service.clock.advance(minutes=2)  # links are sent at most once a minute
        self.keep("grant", "admin", f"{O_}/remote-support", {"reason": "r"})
        made = self.ask("admin", "POST", "/v1/api-keys", {"name": "K", "scopes": ["pin:verify"]})
        came_in = service.call("POST", "/v1/sessions", {"api_key": made.json["api_key"]})
        self.tokens["key"] = came_in.json["access_token"]

    def of_the_first(self):
        self.known["first"], self.tokens["olga"] = self.service.owner(provider_id=self.provider_id)
        for name in ("mia", "adam", "idle", "gone", "gus"):
            self.join(name, f"{name}@customer.example", self.known["first"])
        for name in ("late", "later"):
            body = {
                "name": name,
                "portal_access": True,
                "role": "member",
                "email": f"{name}@customer.example",
            }
            self.keep(name, "olga", f"{O_}/members", body)
        self.keep("key", "olga", "/v1/api-keys", {"name": "K", "scopes": ["members:read"]})
        desk = self.keep("desk", "olga", f"{O_}/members", {"name": "Desk", "portal_access": False})
        self.known |= {"extension": desk["extension"], "pin": desk["pin"]}
        self.keep(
            "offer", "olga", f"{O_}/ownership-transfers", {"member_id": "{adam}", "reason": "r"}
        )

    def of_the_second(self):
        second, self.tokens["sam"] = self.service.owner(
            "sam@second.example", provider_id=self.provider_id, name="Second", managed_by="customer"
        )
        self.known["second"] = second
        self.join("tom", "tom@second.example", second)
        self.keep("request", "admin", f"{SECOND}/remote-support", {"reason": "r"})
        self.keep(
            "transfer",
            "sam",
            f"{SECOND}/ownership-transfers",
            {"member_id": "{tom}", "reason": "r"},
        )

    def path(self, rest):
        return f"/v1/organizations/{rest}".format(**self.known)

    def join(self, name, address, organization_id, **more):
        body = {
            "name": name.title(),
            "portal_access": True,
            "role": "member",
            "email": address,
        } | more
        added = self.service.call(
            "POST", self.path(f"{organization_id}/members"), body, token=self.tokens["admin"]
        )
        assert added.status_code == 201, added.text
        self.service.accept(address)
        self.known[name] = added.json["id"]
        self.tokens[name] = self.service.log_in(address)["access_token"]

    def keep(self, name, by, path, body):
        made = self.ask(by, "POST", path, body)
        assert made.status_code == 201, made.text
        self.known[name] = made.json["id"]
        return made.json

    def ask(self, by, method, path, body=None):
        filled = (
            {k: v.format(**self.known) if isinstance(v, str) else v for k, v in body.items()}
            if body
            else body
        )
        return self.service.call(method, path.format(**self.known), filled, token=self.tokens[by])

    def bring_to(self, state):
        """Bring both customers to this state by messages (back to provisioning directly, since
        no one could be a member then)."""
        for organization_id in (self.known["first"], self.known["second"]):
            about = {"organization_id": organization_id}
            if state == "provisioning":
                with self.service.database.transaction() as session:
                    session.execute(
                        update(models.Organization)
                        .where(models.Organization.id == organization_id)
                        .values(state=state)
                    )
            if state == "suspended":
                self.service.receive(
                    org.OrganizationSuspended(**about, provider_id=self.provider_id)
                )
            if state in ("ended", "erased"):
                self.service.receive(org.EndAccess(**about, deletion_id=ids.new("evt")))
            if state == "erased":
                self.service.receive(org.EraseMembers(**about, deletion_id=ids.new("evt")))


# Without a token, or with a mailed one.
COMING_IN = {
    "log in": KEYS | {"erased": 401},
    "renew": by_state("organization_suspended", "ok", 401, 401, 401),
    "accept": by_state("ok", "ok", "organization_suspended", 410, 404),
}


@pytest.fixture
def setup(service):
    return service.prepared("states", lambda: Setup(service))


def _is_as_expected(answer, expected):
    if expected == "ok":
        return 200 <= answer.status_code < 300
    return expected in (answer.status_code, (answer.json or {}).get("code"))


@pytest.mark.parametrize("state", STATES)
def test_what_each_state_allows(setup, state):
    setup.bring_to(state)
    wrong = []
    for operation, sample in SAMPLES.items():
        answer = setup.ask(sample.by, sample.method, sample.path, sample.body)
        if not _is_as_expected(answer, sample.rule[state]):
            wrong.append((operation, sample.rule[state], answer.status_code, answer.text[:200]))
        if operation == "pin.verify" and answer.json != {"valid": state == "open"}:
            wrong.append((operation, state, answer.json))
    coming_in = {
        "renew": ("/v1/sessions/refresh", {"refresh_token": setup.refresh}),
        "log in": ("/v1/sessions", {"email": MIA, "password": PASSWORD}),
        "accept": (f"/v1/verifications/{setup.link}", {"password": PASSWORD}),
    }
    for what, rule in COMING_IN.items():
        answer = setup.service.call("POST", *coming_in[what])
        if not _is_as_expected(answer, rule[state]):
            wrong.append((what, rule[state], answer.status_code, answer.text[:200]))
    assert wrong == []


def test_every_operation_has_a_sample(app):
    assert set(SAMPLES) == set(guard.OPERATIONS.rows)
    [project] = [s for s in SERVICES if s.name == "membership"]
    inside, adapter = endpoints.permitted(project.package), app.url_map.bind("")
    for operation, sample in SAMPLES.items():
        endpoint, _ = adapter.match(sample.path, sample.method)
        done = endpoints.operation_of(app.view_functions[endpoint], sample.method)
        assert done == operation or operation in inside, (operation, done)
