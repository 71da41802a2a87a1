"""Transfers of ownership: at once, by an offer, undone, and concurrently."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from chassis.runtime import clock, ids
from contracts import membership as messages
from contracts import org
from membership import jobs, models
from membership.actions import member_roles
from sqlalchemy import select, update

OLGA, MIA, ADAM = "olga@customer.example", "mia@customer.example", "adam@customer.example"
HOURS = 72


class Setup:
    """A customer with an owner, an admin and a member, all logged in, and its provider's owner."""

    def __init__(self, service):
        self.service = service
        self.staff = service.provider()
        self.provider_id = service.claims(self.staff)["org"]
        self.organization_id, self.owner = service.owner(provider_id=self.provider_id)
        self.olga = service.claims(self.owner)["mid"]
        self.adam, self.admin = self.joined(ADAM, "admin")
        self.mia, self.member = self.joined(MIA)

    def joined(self, address, role="member", organization_id=None, **more):
        body = {
            "name": address.partition("@")[0].title(),
            "portal_access": True,
            "role": role,
            "email": address,
        }
        path = f"/v1/organizations/{organization_id or self.organization_id}/members"
        added = self.service.call("POST", path, body | more, token=self.staff)
        assert added.status_code == 201, added.text
        self.service.accept(address)
        return added.json["id"], self.log_in(address)

    def log_in(self, address):
        return self.service.log_in(address)["access_token"]

    def call(self, method, rest="", body=None, *, token=None, organization_id=None, **kwargs):
        path = (
            f"/v1/organizations/{organization_id or self.organization_id}/ownership-transfers{rest}"
        )
        return self.service.call(method, path, body, token=token or self.owner, **kwargs)

    def transfer(self, member_id, *, token=None, **kwargs):
        return self.call(
            "POST", "", {"member_id": member_id, "reason": "Olga leaves"}, token=token, **kwargs
        )

    def offer(self, member_id=None):
        answer = self.transfer(member_id or self.mia)
        assert (answer.status_code, answer.json["status"]) == (201, "offered"), answer.text
        return answer.json["id"]

    def at_once(self, member_id=None):
        answer = self.transfer(member_id or self.mia, token=self.staff)
        assert (answer.status_code, answer.json["status"]) == (201, "completed"), answer.text
        return answer.json["id"]

    def roles(self, organization_id=None):
        with self.service.database.reading() as session:
            rows = session.scalars(
                select(models.Member).where(
                    models.Member.organization_id == (organization_id or self.organization_id),
                    models.Member.status.in_(("pending", "active", "disabled")),
                )
            )
            return {m.id: m.role for m in rows}

    def owners(self):
        return [member_id for member_id, role in self.roles().items() if role == "owner"]

    def audited(self):
        rows = [
            m
            for m in self.service.published(messages.AuditRecorded)
            if m.action.startswith("ownership.")
        ]
        return [(m.action, m.outcome) for m in rows]

    def mails(self, to):
        return [
            m["Subject"]
            for m in self.service.send_mails()
            if m["To"] == to and "owner" in m["Subject"]
        ]

    def set_state(self, state):
        with self.service.database.transaction() as session:
            session.execute(
                update(models.Organization)
                .where(models.Organization.id == self.organization_id)
                .values(state=state)
            )


@pytest.fixture
def setup(service):
    return service.prepared("transfers", lambda: Setup(service))


def code(answer):
    return answer.status_code, answer.json["code"]


# --- by staff


def test_a_transfer_by_staff_takes_effect_at_once_and_both_are_notified(setup):
    service = setup.service
    answer = setup.transfer(setup.mia, token=setup.staff)
    assert answer.status_code == 201
    shown = answer.json
    assert (shown["status"], shown["by"], shown["reason"]) == ("completed", "staff", "Olga leaves")
    assert shown["from"] == {"member_id": setup.olga, "name": "Olga Owner"}
    assert shown["to"] == {"member_id": setup.mia, "name": "Mia"}
    assert shown["expires_at"] is None and shown["undo_until"] > shown["created_at"]
    assert [step["code"] for step in shown["follow_up"]] == [
        "billing_email",
        "payment_method",
        "auto_top_up",
    ]
    assert setup.roles() == {setup.olga: "admin", setup.mia: "owner", setup.adam: "admin"}
    published = service.published(messages.MembersChanged)[-1]
    assert (published.owner.member_id, published.admins, published.members) == (setup.mia, 2, 3)
    row = service.published(messages.AuditRecorded)[-1]
    assert (row.action, row.reason, row.target["id"]) == (
        "ownership.transferred",
        "Olga leaves",
        setup.mia,
    )
    assert row.changes == [{"field": "owner", "before": setup.olga, "after": setup.mia}]
    assert setup.mails(OLGA) == ["Acme Ltd has a new owner"]
    assert setup.mails(MIA) == ["You're now the owner of Acme Ltd"]


def test_both_have_to_refresh_their_tokens_and_then_have_their_new_roles(setup):
    service = setup.service
    logins = {address: service.log_in(address) for address in (OLGA, MIA)}
    setup.at_once()
    assert all(
        service.is_revoked(login["access_token"]) for login in logins.values()
    ) and not service.is_revoked(setup.admin)
    for address, role in ((OLGA, "admin"), (MIA, "owner")):
        renewed = service.call(
            "POST", "/v1/sessions/refresh", {"refresh_token": logins[address]["refresh_token"]}
        ).json
        assert renewed["role"] == role and not service.is_revoked(renewed["access_token"])


@pytest.mark.parametrize("whom", ["olga", "mia"])
def test_login_as_sessions_of_both_end(setup, whom):
    service = setup.service
    path = f"/v1/organizations/{setup.organization_id}/members/{getattr(setup, whom)}/login-as"
    inside = service.call("POST", path, {"reason": "r"}, token=setup.staff).json["access_token"]
    assert code(setup.transfer(setup.mia, token=inside)) == (403, "forbidden")
    setup.at_once()
    assert service.is_revoked(inside) and not service.is_revoked(setup.staff)
    with service.database.reading() as session:
        assert session.scalars(select(models.ActingSession)).one().ended_why == "member_changed"


def test_what_is_assigned_stays_and_is_listed(setup):
    path = f"/v1/organizations/{setup.organization_id}/members"
    desk = setup.service.call(
        "POST", path, {"name": "Desk", "portal_access": False}, token=setup.owner
    ).json
    given = {"portal_access": True, "role": "member", "email": "desk@customer.example"}
    assert (
        setup.service.call("PATCH", f"{path}/{desk['id']}", given, token=setup.owner).status_code
        == 200
    )
    setup.service.accept("desk@customer.example")
    assert setup.transfer(desk["id"], token=setup.staff).json["assignments"] == []
    [kept] = setup.transfer(setup.mia, token=setup.staff).json["assignments"]
    assert (kept["type"], kept["id"]) == ("extension", "100") and "100" in kept["label"]
    shown = setup.service.call("GET", kept["href"], token=setup.staff).json
    assert (shown["role"], shown["extension"]) == ("admin", "100")


def test_an_undo_restores_both_roles(setup):
    first = setup.at_once()
    undone = setup.call("DELETE", f"/{first}", token=setup.staff)
    assert (undone.status_code, undone.json["status"], undone.json["undo_until"]) == (
        200,
        "undone",
        None,
    )
    assert setup.roles() == {setup.olga: "owner", setup.mia: "member", setup.adam: "admin"}
    assert setup.service.published(messages.MembersChanged)[-1].owner.member_id == setup.olga
    assert setup.mails(OLGA)[-1] == "You're now the owner of Acme Ltd"
    assert code(setup.call("DELETE", f"/{first}", token=setup.staff)) == (410, "undo_over")
    assert setup.audited() == [("ownership.transferred", "ok"), ("ownership.undone", "ok")]


def test_an_undo_is_possible_for_72_hours_to_the_microsecond(setup, service, monkeypatch):
    begun = clock.now()
    with monkeypatch.context() as still:
        still.setattr(clock, "now", lambda: begun)
        first = setup.at_once()
    service.clock.advance(hours=HOURS)
    staff = setup.log_in("admin@example.com")
    over = begun + timedelta(hours=HOURS)
    with monkeypatch.context() as still:
        still.setattr(clock, "now", lambda: over)
        assert code(setup.call("DELETE", f"/{first}", token=staff)) == (410, "undo_over")
        still.setattr(clock, "now", lambda: over - timedelta(microseconds=1))
        assert setup.call("DELETE", f"/{first}", token=staff).status_code == 200


def test_only_the_newest_transfer_can_be_undone(setup):
    first = setup.at_once(setup.mia)
    second = setup.at_once(setup.olga)
    third = setup.at_once(setup.mia)
    for early in (first, second):
        assert code(setup.call("DELETE", f"/{early}", token=setup.staff)) == (409, "owner_changed")
    for late, owner in ((third, setup.olga), (second, setup.mia), (first, setup.olga)):
        assert setup.call("DELETE", f"/{late}", token=setup.staff).status_code == 200
        assert setup.owners() == [owner]


@pytest.mark.parametrize("how", ["disable", "remove", "no access"])
def test_no_undo_in_favor_of_a_member_who_cannot_be_owner(setup, how):
    first = setup.at_once()
    path = f"/v1/organizations/{setup.organization_id}/members/{setup.olga}"
    method, rest, body = {
        "disable": ("POST", "/disable", None),
        "remove": ("DELETE", "", None),
        "no access": ("PATCH", "", {"portal_access": False}),
    }[how]
    assert setup.service.call(method, path + rest, body, token=setup.staff).status_code in (
        200,
        204,
    )
    assert code(setup.call("DELETE", f"/{first}", token=setup.staff)) == (
        409,
        "member_not_eligible",
    )
    assert setup.owners() == [setup.mia]


def test_a_first_owner_who_never_joins_is_replaced(setup):
    service = setup.service
    organization_id = service.customer(
        "nobody@second.example", provider_id=setup.provider_id, name="Second"
    )
    paula, _ = setup.joined("paula@second.example", organization_id=organization_id)
    pending = next(m for m, role in setup.roles(organization_id).items() if role == "owner")
    changed = setup.transfer(paula, token=setup.staff, organization_id=organization_id)
    assert changed.status_code == 201
    assert setup.roles(organization_id) == {pending: "admin", paula: "owner"}
    assert setup.mails("nobody@second.example") == []
    undo = setup.call(
        "DELETE", f"/{changed.json['id']}", token=setup.staff, organization_id=organization_id
    )
    assert code(undo) == (409, "member_not_eligible")
    service.accept("nobody@second.example")
    assert service.log_in("nobody@second.example")["role"] == "admin"


# --- by the owner


def test_the_owner_offers_and_the_member_accepts(setup):
    service = setup.service
    offer = setup.offer()
    assert setup.owners() == [setup.olga] and not service.is_revoked(setup.owner)
    assert setup.mails(MIA) == ["You've been offered ownership of Acme Ltd"]
    [transfer] = setup.call("GET", token=setup.member).json["data"]
    assert (
        transfer["id"] == offer
        and transfer["undo_until"] is None
        and transfer["expires_at"] > transfer["created_at"]
    )
    taken = setup.call("POST", f"/{offer}/accept", token=setup.member)
    assert (taken.status_code, taken.json["status"], taken.json["by"]) == (
        200,
        "completed",
        "owner",
    )
    assert setup.roles() == {setup.olga: "admin", setup.mia: "owner", setup.adam: "admin"}
    assert service.is_revoked(setup.owner) and service.is_revoked(setup.member)
    assert setup.audited() == [("ownership.offered", "ok"), ("ownership.accepted", "ok")]
    assert code(setup.call("POST", f"/{offer}/accept", token=setup.member)) == (410, "offer_over")
    owner = setup.log_in(MIA)
    assert code(setup.call("DELETE", f"/{offer}", token=owner)) == (410, "undo_over")
    assert code(setup.call("DELETE", f"/{offer}", token=setup.staff)) == (410, "undo_over")


def test_only_the_member_can_accept(setup):
    offer = setup.offer()
    for token in (setup.owner, setup.admin, setup.staff):
        assert code(setup.call("POST", f"/{offer}/accept", token=token)) == (403, "forbidden")
    assert setup.owners() == [setup.olga]


def test_the_target_accepts_as_a_member_of_the_customer_not_as_staff(setup):
    service = setup.service
    person = "max@provider.example"
    setup.joined(person, organization_id=setup.provider_id, preset="manager")
    staff = setup.log_in(person)
    path = f"/v1/organizations/{setup.organization_id}/members"
    body = {"name": "Max", "portal_access": True, "role": "member", "email": person}
    max_id = service.call("POST", path, body, token=setup.owner).json["id"]
    service.accept(person)
    offer = setup.offer(max_id)
    assert code(setup.call("POST", f"/{offer}/accept", token=staff)) == (403, "forbidden")
    inside = service.log_in(person, organization_id=setup.organization_id)["access_token"]
    assert setup.call("POST", f"/{offer}/accept", token=inside).status_code == 200


def test_one_offer_at_a_time_until_it_is_cancelled(setup):
    first = setup.offer()
    second = setup.transfer(setup.adam)
    assert code(second) == (409, "transfer_pending") and second.json["transfer_id"] == first
    cancelled = setup.call("DELETE", f"/{first}")
    assert (cancelled.status_code, cancelled.json["status"]) == (200, "cancelled")
    assert code(setup.call("POST", f"/{first}/accept", token=setup.member)) == (410, "offer_over")
    assert code(setup.call("DELETE", f"/{first}")) == (410, "offer_over")
    setup.offer(setup.adam)
    assert [row["status"] for row in setup.call("GET").json["data"]] == ["offered", "cancelled"]
    assert setup.audited() == [
        (f"ownership.{what}", "ok") for what in ("offered", "cancelled", "offered")
    ]


def test_an_offer_is_valid_for_72_hours_to_the_microsecond(setup, service, monkeypatch):
    begun = clock.now()
    with monkeypatch.context() as still:
        still.setattr(clock, "now", lambda: begun)
        offer = setup.offer()
    service.clock.advance(hours=HOURS)
    member = setup.log_in(MIA)
    over = begun + timedelta(hours=HOURS)
    with monkeypatch.context() as still:
        still.setattr(clock, "now", lambda: over)
        assert setup.call("GET", token=member).json["data"][0]["status"] == "expired"
        assert code(setup.call("POST", f"/{offer}/accept", token=member)) == (410, "offer_over")
        still.setattr(clock, "now", lambda: over - timedelta(microseconds=1))
        assert setup.call("GET", token=member).json["data"][0]["status"] == "offered"
        assert setup.call("POST", f"/{offer}/accept", token=member).status_code == 200


def test_a_job_expires_offers(setup, service):
    setup.offer()
    assert jobs.expire_offers(service.database, clock.now(), service.settings) == 0
    later = clock.now() + timedelta(hours=HOURS)
    assert jobs.expire_offers(service.database, later, service.settings) == 1
    assert jobs.expire_offers(service.database, later, service.settings) == 0
    assert setup.audited()[-1] == ("ownership.expired", "ok")
    assert service.published(messages.AuditRecorded)[-1].actor["kind"] == "system"


def test_an_expired_offer_blocks_nothing(setup, service):
    setup.offer()
    service.clock.advance(hours=HOURS)
    owner = setup.log_in(OLGA)
    assert setup.transfer(setup.adam, token=owner).status_code == 201
    assert [row["status"] for row in setup.call("GET", token=owner).json["data"]] == [
        "offered",
        "expired",
    ]
    assert setup.audited()[-2:] == [("ownership.expired", "ok"), ("ownership.offered", "ok")]


def test_staff_do_not_wait_for_an_offer(setup):
    offer = setup.offer()
    first = setup.at_once(setup.adam)
    assert code(setup.call("POST", f"/{offer}/accept", token=setup.member)) == (410, "offer_over")
    assert [r["status"] for r in setup.call("GET", token=setup.staff).json["data"]] == [
        "completed",
        "cancelled",
    ]
    setup.transfer(setup.mia, token=setup.log_in(ADAM))
    assert setup.call("DELETE", f"/{first}", token=setup.staff).status_code == 200
    assert [r["status"] for r in setup.call("GET", token=setup.staff).json["data"]] == [
        "cancelled",
        "undone",
        "cancelled",
    ]
    assert setup.owners() == [setup.olga]


def test_staff_may_cancel_an_offer(setup):
    assert (
        setup.call("DELETE", f"/{setup.offer()}", token=setup.staff).json["status"] == "cancelled"
    )


def test_the_customer_cannot_undo_a_transfer_by_the_provider(setup):
    first = setup.at_once()
    owner = setup.log_in(MIA)
    assert code(setup.call("DELETE", f"/{first}", token=owner)) == (403, "forbidden")
    assert setup.owners() == [setup.mia]


def test_a_token_of_a_former_owner_cannot_transfer(setup):
    setup.at_once()
    assert code(setup.transfer(setup.adam)) == (403, "forbidden")
    offer = setup.transfer(setup.adam, token=setup.log_in(MIA)).json["id"]
    assert code(setup.call("DELETE", f"/{offer}")) == (403, "forbidden")


# --- who and what is refused


def test_members_who_cannot_become_the_owner(setup):
    service, path = setup.service, f"/v1/organizations/{setup.organization_id}/members"
    desk = service.call(
        "POST", path, {"name": "Desk", "portal_access": False}, token=setup.owner
    ).json["id"]
    late = {
        "name": "Late",
        "portal_access": True,
        "role": "member",
        "email": "late@customer.example",
    }
    pending = service.call("POST", path, late, token=setup.owner).json["id"]
    service.call("POST", f"{path}/{setup.adam}/disable", token=setup.owner)
    gone, _ = setup.joined("gone@customer.example")
    service.call("DELETE", f"{path}/{gone}", token=setup.owner)
    stranger = service.claims(service.owner("sam@other.example", name="Other")[1])["mid"]
    for token in (setup.owner, setup.staff):
        for member_id in (desk, pending, setup.adam):
            assert code(setup.transfer(member_id, token=token)) == (409, "member_not_eligible")
        for member_id in (gone, stranger, ids.new("mem")):
            assert code(setup.transfer(member_id, token=token)) == (404, "not_found")
        assert code(setup.transfer(setup.olga, token=token)) == (409, "already_owner")
        for body in (
            {"member_id": setup.mia},
            {"member_id": "mem_x", "reason": "r"},
            {"member_id": setup.mia, "reason": " "},
            {"member_id": setup.mia, "reason": "r" * 501},
            {"member_id": setup.mia, "reason": "r", "at_once": True},
        ):
            assert setup.call("POST", "", body, token=token).status_code == 422
    assert setup.owners() == [setup.olga]


def test_a_member_who_is_no_longer_eligible_cannot_accept(setup):
    offer = setup.offer()
    path = f"/v1/organizations/{setup.organization_id}/members/{setup.mia}"
    setup.service.call("POST", f"{path}/disable", token=setup.owner)
    assert code(setup.call("POST", f"/{offer}/accept", token=setup.member)) == (
        409,
        "member_not_eligible",
    )
    assert setup.call("GET").json["data"][0]["status"] == "offered"


def test_the_admin_limit_applies(setup, monkeypatch):
    monkeypatch.setattr(member_roles, "MAX_ADMINS", 1)
    offer = setup.offer()
    for answer in (
        setup.transfer(setup.mia, token=setup.staff),
        setup.call("POST", f"/{offer}/accept", token=setup.member),
    ):
        assert code(answer) == (409, "admin_limit")
    first = setup.at_once(setup.adam)
    assert setup.roles() == {setup.olga: "admin", setup.mia: "member", setup.adam: "owner"}
    path = f"/v1/organizations/{setup.organization_id}/members"
    for member_id, role in ((setup.olga, "member"), (setup.mia, "admin")):
        assert (
            setup.service.call(
                "PATCH", f"{path}/{member_id}", {"role": role}, token=setup.staff
            ).status_code
            == 200
        )
    assert code(setup.call("DELETE", f"/{first}", token=setup.staff)) == (409, "admin_limit")
    assert setup.owners() == [setup.adam]


def test_only_its_owner_offers_the_providers_ownership(setup):
    service = setup.service
    home = {"organization_id": setup.provider_id}
    max_id, manager = setup.joined("max@provider.example", preset="manager", **home)
    assert code(setup.transfer(max_id, token=manager, **home)) == (403, "forbidden")
    offered = setup.transfer(max_id, token=setup.staff, **home).json
    assert (offered["status"], offered["by"], offered["follow_up"]) == ("offered", "owner", [])
    assert code(setup.call("DELETE", f"/{offered['id']}", token=manager, **home)) == (
        403,
        "forbidden",
    )
    assert setup.call("POST", f"/{offered['id']}/accept", token=manager, **home).status_code == 200
    assert service.log_in("max@provider.example")["role"] == "owner"
    assert service.log_in("admin@example.com")["role"] == "manager"


def test_another_tenants_transfers_do_not_exist(setup):
    offer = setup.offer()
    other_id, other = setup.service.owner(
        "sam@other.example", name="Other", provider_id=ids.new("org")
    )
    assert setup.call("GET", token=other).status_code == 404
    assert setup.transfer(setup.mia, token=other).status_code == 404
    assert setup.call("DELETE", f"/{offer}", token=other).status_code == 404
    elsewhere = {"organization_id": other_id, "token": other}
    for transfer_id in (offer, "grt_x", ids.new("grt"), ids.new("mem"), "x" * 300):
        assert setup.call("DELETE", f"/{transfer_id}", **elsewhere).status_code == 404
        assert setup.call("POST", f"/{transfer_id}/accept", **elsewhere).status_code == 404


def test_the_same_idempotency_key_is_the_same_transfer(setup):
    key = {"headers": {"Idempotency-Key": "k"}}
    first, again = (setup.transfer(setup.mia, token=setup.staff, **key) for _ in range(2))
    assert first.json == again.json and again.headers["Idempotent-Replayed"] == "true"
    assert len(setup.call("GET", token=setup.staff).json["data"]) == 1


def test_the_list_is_paged(setup):
    made = [setup.at_once(m) for m in (setup.mia, setup.adam, setup.olga)]
    page = setup.call("GET", "?limit=2", token=setup.staff).json
    rest = setup.call("GET", f"?limit=2&cursor={page['next_cursor']}", token=setup.staff).json
    assert [row["id"] for row in page["data"] + rest["data"]] == made[::-1] and not rest["has_more"]


# --- the end of an organization


def test_a_deletion_cancels_an_offer_permanently(setup, service):
    offer = setup.offer()
    for _ in range(2):
        service.receive(org.EndAccess(organization_id=setup.organization_id, deletion_id="d"))
    assert setup.audited() == [("ownership.offered", "ok"), ("ownership.cancelled", "ok")]
    assert code(setup.call("DELETE", f"/{offer}", token=setup.staff)) == (
        409,
        "organization_closing",
    )
    service.receive(
        org.RestoreAccess(
            organization_id=setup.organization_id, conversation_id="c", suspended=False
        )
    )
    assert code(setup.call("POST", f"/{offer}/accept", token=setup.log_in(MIA))) == (
        410,
        "offer_over",
    )


def test_reasons_are_erased_with_the_members(setup, service):
    setup.at_once()
    service.receive(org.EndAccess(organization_id=setup.organization_id, deletion_id="d"))
    service.receive(org.EraseMembers(organization_id=setup.organization_id, deletion_id="d"))
    [row] = setup.call("GET", token=setup.staff).json["data"]
    assert (row["reason"], row["from"]["name"], row["to"]["name"]) == ("", "Erased", "Erased")


def test_the_closing_check_warns_of_offers_and_support_sessions(setup, service):
    def codes():
        path = f"/internal/organizations/{setup.organization_id}/closing-check"
        answer = service.client.get(path, auth=("org", "org's own"))
        assert answer.status_code == 200 and all(w["detail"] for w in answer.json["warnings"])
        return [w["code"] for w in answer.json["warnings"]]

    assert codes() == []
    setup.offer()
    now = clock.now()
    inside = {
        "mode": "login_as",
        "access": "full",
        "reason": "r",
        "staff_identity_id": ids.new("idn"),
        "staff_member_id": ids.new("mem"),
        "staff_name": "S",
        "staff_session_id": ids.new("ses"),
        "provider_id": setup.provider_id,
        "started_at": now,
        "expires_at": now + timedelta(minutes=30),
    }
    with service.database.transaction() as session:
        session.add(
            models.ActingSession(id=ids.new("ses"), organization_id=setup.organization_id, **inside)
        )
    assert codes() == ["pending_transfer", "acting_session"]
    service.clock.advance(minutes=31)
    assert codes() == ["pending_transfer"]
    with service.database.transaction() as session:
        session.execute(
            update(models.ActingSession).values(expires_at=clock.now() + timedelta(hours=1))
        )
    assert codes() == ["pending_transfer", "acting_session"]
    with service.database.transaction() as session:
        session.execute(update(models.ActingSession).values(ended_at=clock.now()))
    service.clock.advance(hours=HOURS)
    assert codes() == []


# --- all at once


def _together(acts):
    """Run each in a thread, started at the same moment; returns the results in this order."""
    ready = threading.Barrier(len(acts))

    def run(act):
        ready.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def _asking(service, method, path, body=None, token=""):
    """A request by a client of its own, for a thread."""
    headers = {"Authorization": f"Bearer {token}"}
    return lambda: service.app.test_client().open(path, method=method, json=body, headers=headers)


def _check_one_owner(setup, audited):
    [owner] = setup.owners()
    assert setup.service.published(messages.MembersChanged)[-1].owner.member_id == owner
    rows = [
        m
        for m in setup.service.published(messages.AuditRecorded)
        if m.action in audited and m.outcome == "ok"
    ]
    for earlier, later in itertools.pairwise(rows):
        assert earlier.changes[0]["after"] == later.changes[0]["before"]
    assert not rows or rows[-1].changes[0]["after"] == owner
    return owner


CHANGES = ("ownership.transferred", "ownership.accepted", "ownership.undone")


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_eight_concurrent_transfers_follow_each_other(setup):
    service = setup.service
    targets = [setup.joined(f"t{n}@customer.example")[0] for n in range(8)]
    path = f"/v1/organizations/{setup.organization_id}/ownership-transfers"
    answers = _together(
        [
            _asking(service, "POST", path, {"member_id": t, "reason": "r"}, setup.staff)
            for t in targets
        ]
    )
    assert [a.status_code for a in answers] == [201] * 8, [a.text for a in answers]
    assert _check_one_owner(setup, CHANGES) in targets
    assert sorted(setup.roles()[t] for t in targets) == ["admin"] * 7 + ["owner"]
    assert service.is_revoked(setup.owner)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_eight_concurrent_offers_are_one(setup):
    service = setup.service
    targets = [setup.joined(f"t{n}@customer.example")[0] for n in range(8)]
    path = f"/v1/organizations/{setup.organization_id}/ownership-transfers"
    answers = _together(
        [
            _asking(service, "POST", path, {"member_id": t, "reason": "r"}, setup.owner)
            for t in targets
        ]
    )
    assert sorted(a.status_code for a in answers) == [201] + [409] * 7
    assert {a.json["code"] for a in answers if a.status_code == 409} == {"transfer_pending"}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_concurrent_changes_leave_one_owner(setup):
    service, base = setup.service, f"/v1/organizations/{setup.organization_id}"
    path, address = (
        f"{base}/ownership-transfers",
        {setup.olga: OLGA, setup.mia: MIA, setup.adam: ADAM},
    )
    for turn in range(6):
        for member_id in address:
            service.call("POST", f"{base}/members/{member_id}/enable", token=setup.staff)
        [was] = setup.owners()
        owner_id, target = [m for m in address if m != was][:: 1 if turn % 2 else -1]
        before = setup.at_once(owner_id)
        owner, offered = setup.log_in(address[owner_id]), setup.log_in(address[target])
        offer = setup.transfer(target, token=owner).json["id"]
        calls = [
            ("POST", path, {"member_id": target, "reason": "r"}, setup.staff),
            ("POST", f"{path}/{offer}/accept", None, offered),
            ("DELETE", f"{path}/{before}", None, setup.staff),
            ("DELETE", f"{path}/{offer}", None, owner),
            ("PATCH", f"{base}/members/{owner_id}", {"role": "member"}, setup.staff),
            ("POST", f"{base}/members/{owner_id}/disable", None, setup.staff),
            ("POST", f"{base}/members/{target}/disable", None, setup.staff),
            (
                "POST",
                "/v1/sessions",
                {"email": address[target], "password": "four calm otters drift"},
                "",
            ),
        ]
        answers = _together([_asking(service, *call) for call in calls])
        assert all(a.status_code < 500 for a in answers), [a.text for a in answers]
        now_owner = _check_one_owner(setup, CHANGES)
        assert service.is_revoked(owner)
        with service.database.reading() as session:
            assert session.get_one(models.Member, now_owner).status == "active"


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_concurrently_removed_member_does_not_become_the_owner(setup):
    service, base = setup.service, f"/v1/organizations/{setup.organization_id}"
    for turn in range(4):
        target, _ = setup.joined(f"t{turn}@customer.example")
        transferred, removed = _together(
            [
                _asking(
                    service,
                    "POST",
                    f"{base}/ownership-transfers",
                    {"member_id": target, "reason": "r"},
                    setup.staff,
                ),
                _asking(service, "DELETE", f"{base}/members/{target}", None, setup.staff),
            ]
        )
        assert (transferred.status_code, removed.status_code) in ((201, 409), (404, 204))
        _check_one_owner(setup, CHANGES)
