"""Ownership changing hands: at once, by an offer, back again, and by everybody at the same time."""

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


class Place:
    """A customer with an owner, an admin and a member who are logged in, and its provider's
    owner."""

    def __init__(self, world):
        self.world = world
        self.staff = world.provider()
        self.provider_id = world.claims(self.staff)["org"]
        self.organization_id, self.owner = world.owner(provider_id=self.provider_id)
        self.olga = world.claims(self.owner)["mid"]
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
        added = self.world.call("POST", path, body | more, token=self.staff)
        assert added.status_code == 201, added.text
        self.world.accept(address)
        return added.json["id"], self.log_in(address)

    def log_in(self, address):
        return self.world.log_in(address)["access_token"]

    def call(self, method, rest="", body=None, *, token=None, organization_id=None, **kwargs):
        path = (
            f"/v1/organizations/{organization_id or self.organization_id}/ownership-transfers{rest}"
        )
        return self.world.call(method, path, body, token=token or self.owner, **kwargs)

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
        with self.world.database.reading() as session:
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
            m for m in self.world.said(messages.AuditRecorded) if m.action.startswith("ownership.")
        ]
        return [(m.action, m.outcome) for m in rows]

    def mails(self, to):
        return [
            m["Subject"] for m in self.world.post() if m["To"] == to and "owner" in m["Subject"]
        ]

    def set_state(self, state):
        with self.world.database.transaction() as session:
            session.execute(
                update(models.Organization)
                .where(models.Organization.id == self.organization_id)
                .values(state=state)
            )


@pytest.fixture
def place(world):
    return Place(world)


def code(answer):
    return answer.status_code, answer.json["code"]


# --- by staff


def test_staff_change_the_owner_at_once_and_both_are_told(place):
    world = place.world
    answer = place.transfer(place.mia, token=place.staff)
    assert answer.status_code == 201
    shown = answer.json
    assert (shown["status"], shown["by"], shown["reason"]) == ("completed", "staff", "Olga leaves")
    assert shown["from"] == {"member_id": place.olga, "name": "Olga Owner"}
    assert shown["to"] == {"member_id": place.mia, "name": "Mia"}
    assert shown["expires_at"] is None and shown["undo_until"] > shown["created_at"]
    assert [step["code"] for step in shown["follow_up"]] == [
        "billing_email",
        "payment_method",
        "auto_top_up",
    ]
    assert place.roles() == {place.olga: "admin", place.mia: "owner", place.adam: "admin"}
    said = world.said(messages.MembersChanged)[-1]
    assert (said.owner.member_id, said.admins, said.members) == (place.mia, 2, 3)
    row = world.said(messages.AuditRecorded)[-1]
    assert (row.action, row.reason, row.target["id"]) == (
        "ownership.transferred",
        "Olga leaves",
        place.mia,
    )
    assert row.changes == [{"field": "owner", "before": place.olga, "after": place.mia}]
    assert place.mails(OLGA) == ["Acme Ltd has a new owner"]
    assert place.mails(MIA) == ["You're now the owner of Acme Ltd"]


def test_both_have_to_renew_their_tokens_and_have_their_new_role_then(place):
    world = place.world
    logins = {address: world.log_in(address) for address in (OLGA, MIA)}
    place.at_once()
    assert all(
        world.revoked(login["access_token"]) for login in logins.values()
    ) and not world.revoked(place.admin)
    for address, role in ((OLGA, "admin"), (MIA, "owner")):
        renewed = world.call(
            "POST", "/v1/sessions/refresh", {"refresh_token": logins[address]["refresh_token"]}
        ).json
        assert renewed["role"] == role and not world.revoked(renewed["access_token"])


@pytest.mark.parametrize("whom", ["olga", "mia"])
def test_nobody_goes_on_acting_as_what_one_of_them_was(place, whom):
    world = place.world
    path = f"/v1/organizations/{place.organization_id}/members/{getattr(place, whom)}/login-as"
    inside = world.call("POST", path, {"reason": "r"}, token=place.staff).json["access_token"]
    assert code(place.transfer(place.mia, token=inside)) == (403, "forbidden")
    place.at_once()
    assert world.revoked(inside) and not world.revoked(place.staff)
    with world.database.reading() as session:
        assert session.scalars(select(models.ActingSession)).one().ended_why == "member_changed"


def test_what_is_assigned_stays_and_is_listed(place):
    path = f"/v1/organizations/{place.organization_id}/members"
    desk = place.world.call(
        "POST", path, {"name": "Desk", "portal_access": False}, token=place.owner
    ).json
    given = {"portal_access": True, "role": "member", "email": "desk@customer.example"}
    assert (
        place.world.call("PATCH", f"{path}/{desk['id']}", given, token=place.owner).status_code
        == 200
    )
    place.world.accept("desk@customer.example")
    assert place.transfer(desk["id"], token=place.staff).json["assignments"] == []
    [kept] = place.transfer(place.mia, token=place.staff).json["assignments"]
    assert (kept["type"], kept["id"]) == ("extension", "100") and "100" in kept["label"]
    shown = place.world.call("GET", kept["href"], token=place.staff).json
    assert (shown["role"], shown["extension"]) == ("admin", "100")


def test_undoing_gives_both_what_they_had(place):
    first = place.at_once()
    undone = place.call("DELETE", f"/{first}", token=place.staff)
    assert (undone.status_code, undone.json["status"], undone.json["undo_until"]) == (
        200,
        "undone",
        None,
    )
    assert place.roles() == {place.olga: "owner", place.mia: "member", place.adam: "admin"}
    assert place.world.said(messages.MembersChanged)[-1].owner.member_id == place.olga
    assert place.mails(OLGA)[-1] == "You're now the owner of Acme Ltd"
    assert code(place.call("DELETE", f"/{first}", token=place.staff)) == (410, "undo_over")
    assert place.audited() == [("ownership.transferred", "ok"), ("ownership.undone", "ok")]


def test_undoing_ends_after_72_hours_to_the_moment(place, world, monkeypatch):
    begun = clock.now()
    with monkeypatch.context() as still:
        still.setattr(clock, "now", lambda: begun)
        first = place.at_once()
    world.clock.pass_(hours=HOURS)
    staff = place.log_in("admin@example.com")
    over = begun + timedelta(hours=HOURS)
    with monkeypatch.context() as still:
        still.setattr(clock, "now", lambda: over)
        assert code(place.call("DELETE", f"/{first}", token=staff)) == (410, "undo_over")
        still.setattr(clock, "now", lambda: over - timedelta(microseconds=1))
        assert place.call("DELETE", f"/{first}", token=staff).status_code == 200


def test_only_the_newest_change_is_undone_and_one_after_the_other(place):
    first = place.at_once(place.mia)
    second = place.at_once(place.olga)
    third = place.at_once(place.mia)
    for early in (first, second):
        assert code(place.call("DELETE", f"/{early}", token=place.staff)) == (409, "owner_changed")
    for late, owner in ((third, place.olga), (second, place.mia), (first, place.olga)):
        assert place.call("DELETE", f"/{late}", token=place.staff).status_code == 200
        assert place.owners() == [owner]


@pytest.mark.parametrize("how", ["disable", "remove", "address"])
def test_nothing_is_undone_in_favour_of_somebody_who_could_not_be_owner(place, how):
    first = place.at_once()
    path = f"/v1/organizations/{place.organization_id}/members/{place.olga}"
    method, rest, body = {
        "disable": ("POST", "/disable", None),
        "remove": ("DELETE", "", None),
        "address": ("PATCH", "", {"email": "else@customer.example"}),
    }[how]
    assert place.world.call(method, path + rest, body, token=place.staff).status_code in (200, 204)
    assert code(place.call("DELETE", f"/{first}", token=place.staff)) == (
        409,
        "member_not_eligible",
    )
    assert place.owners() == [place.mia]


def test_a_first_owner_who_never_answers_is_replaced(place):
    world = place.world
    organization_id = world.customer(
        "nobody@second.example", provider_id=place.provider_id, name="Second"
    )
    paula, _ = place.joined("paula@second.example", organization_id=organization_id)
    pending = next(m for m, role in place.roles(organization_id).items() if role == "owner")
    changed = place.transfer(paula, token=place.staff, organization_id=organization_id)
    assert changed.status_code == 201
    assert place.roles(organization_id) == {pending: "admin", paula: "owner"}
    assert place.mails("nobody@second.example") == []
    undo = place.call(
        "DELETE", f"/{changed.json['id']}", token=place.staff, organization_id=organization_id
    )
    assert code(undo) == (409, "member_not_eligible")
    world.accept("nobody@second.example")
    assert world.log_in("nobody@second.example")["role"] == "admin"


# --- by the owner


def test_the_owner_offers_and_the_member_accepts(place):
    world = place.world
    offer = place.offer()
    assert place.owners() == [place.olga] and not world.revoked(place.owner)
    assert place.mails(MIA) == ["You've been offered the ownership of Acme Ltd"]
    [found] = place.call("GET", token=place.member).json["data"]
    assert (
        found["id"] == offer
        and found["undo_until"] is None
        and found["expires_at"] > found["created_at"]
    )
    taken = place.call("POST", f"/{offer}/accept", token=place.member)
    assert (taken.status_code, taken.json["status"], taken.json["by"]) == (
        200,
        "completed",
        "owner",
    )
    assert place.roles() == {place.olga: "admin", place.mia: "owner", place.adam: "admin"}
    assert world.revoked(place.owner) and world.revoked(place.member)
    assert place.audited() == [("ownership.offered", "ok"), ("ownership.accepted", "ok")]
    assert code(place.call("POST", f"/{offer}/accept", token=place.member)) == (410, "offer_over")
    owner = place.log_in(MIA)
    assert code(place.call("DELETE", f"/{offer}", token=owner)) == (410, "undo_over")
    assert code(place.call("DELETE", f"/{offer}", token=place.staff)) == (410, "undo_over")


def test_nobody_but_the_member_accepts(place):
    offer = place.offer()
    for token in (place.owner, place.admin, place.staff):
        assert code(place.call("POST", f"/{offer}/accept", token=token)) == (403, "forbidden")
    assert place.owners() == [place.olga]


def test_who_is_offered_it_accepts_as_the_customers_member_not_as_staff(place):
    world = place.world
    person = "max@provider.example"
    place.joined(person, organization_id=place.provider_id, preset="manager")
    staff = place.log_in(person)
    path = f"/v1/organizations/{place.organization_id}/members"
    body = {"name": "Max", "portal_access": True, "role": "member", "email": person}
    max_id = world.call("POST", path, body, token=place.owner).json["id"]
    world.accept(person, None)
    offer = place.offer(max_id)
    assert code(place.call("POST", f"/{offer}/accept", token=staff)) == (403, "forbidden")
    inside = world.log_in(person, organization_id=place.organization_id)["access_token"]
    assert place.call("POST", f"/{offer}/accept", token=inside).status_code == 200


def test_one_offer_at_a_time_until_it_is_cancelled(place):
    first = place.offer()
    second = place.transfer(place.adam)
    assert code(second) == (409, "transfer_pending") and second.json["transfer_id"] == first
    cancelled = place.call("DELETE", f"/{first}")
    assert (cancelled.status_code, cancelled.json["status"]) == (200, "cancelled")
    assert code(place.call("POST", f"/{first}/accept", token=place.member)) == (410, "offer_over")
    assert code(place.call("DELETE", f"/{first}")) == (410, "offer_over")
    place.offer(place.adam)
    assert [row["status"] for row in place.call("GET").json["data"]] == ["offered", "cancelled"]
    assert place.audited() == [
        (f"ownership.{what}", "ok") for what in ("offered", "cancelled", "offered")
    ]


def test_an_offer_is_open_for_72_hours_to_the_moment(place, world, monkeypatch):
    begun = clock.now()
    with monkeypatch.context() as still:
        still.setattr(clock, "now", lambda: begun)
        offer = place.offer()
    world.clock.pass_(hours=HOURS)
    member = place.log_in(MIA)
    over = begun + timedelta(hours=HOURS)
    with monkeypatch.context() as still:
        still.setattr(clock, "now", lambda: over)
        assert place.call("GET", token=member).json["data"][0]["status"] == "expired"
        assert code(place.call("POST", f"/{offer}/accept", token=member)) == (410, "offer_over")
        still.setattr(clock, "now", lambda: over - timedelta(microseconds=1))
        assert place.call("GET", token=member).json["data"][0]["status"] == "offered"
        assert place.call("POST", f"/{offer}/accept", token=member).status_code == 200


def test_the_clock_notes_that_an_offer_is_over(place, world):
    place.offer()
    assert jobs.expire_offers(world.database, clock.now(), world.settings) == 0
    later = clock.now() + timedelta(hours=HOURS)
    assert jobs.expire_offers(world.database, later, world.settings) == 1
    assert jobs.expire_offers(world.database, later, world.settings) == 0
    assert place.audited()[-1] == ("ownership.expired", "ok")
    assert world.said(messages.AuditRecorded)[-1].actor["kind"] == "system"


def test_an_offer_that_is_over_is_in_nobodys_way(place, world):
    place.offer()
    world.clock.pass_(hours=HOURS)
    owner = place.log_in(OLGA)
    assert place.transfer(place.adam, token=owner).status_code == 201
    assert [row["status"] for row in place.call("GET", token=owner).json["data"]] == [
        "offered",
        "expired",
    ]
    assert place.audited()[-2:] == [("ownership.expired", "ok"), ("ownership.offered", "ok")]


def test_staff_do_not_wait_for_an_offer(place):
    offer = place.offer()
    first = place.at_once(place.adam)
    assert code(place.call("POST", f"/{offer}/accept", token=place.member)) == (410, "offer_over")
    assert [r["status"] for r in place.call("GET", token=place.staff).json["data"]] == [
        "completed",
        "cancelled",
    ]
    place.transfer(place.mia, token=place.log_in(ADAM))
    assert place.call("DELETE", f"/{first}", token=place.staff).status_code == 200
    assert [r["status"] for r in place.call("GET", token=place.staff).json["data"]] == [
        "cancelled",
        "undone",
        "cancelled",
    ]
    assert place.owners() == [place.olga]


def test_staff_may_cancel_an_offer(place):
    assert (
        place.call("DELETE", f"/{place.offer()}", token=place.staff).json["status"] == "cancelled"
    )


def test_the_customer_does_not_undo_what_the_provider_did(place):
    first = place.at_once()
    owner = place.log_in(MIA)
    assert code(place.call("DELETE", f"/{first}", token=owner)) == (403, "forbidden")
    assert place.owners() == [place.mia]


def test_a_token_of_the_time_as_owner_gives_nothing_away(place):
    place.at_once()
    assert code(place.transfer(place.adam)) == (403, "forbidden")
    offer = place.transfer(place.adam, token=place.log_in(MIA)).json["id"]
    assert code(place.call("DELETE", f"/{offer}")) == (403, "forbidden")


# --- who and what is refused


def test_who_cannot_become_the_owner(place):
    world, path = place.world, f"/v1/organizations/{place.organization_id}/members"
    desk = world.call(
        "POST", path, {"name": "Desk", "portal_access": False}, token=place.owner
    ).json["id"]
    late = {
        "name": "Late",
        "portal_access": True,
        "role": "member",
        "email": "late@customer.example",
    }
    pending = world.call("POST", path, late, token=place.owner).json["id"]
    world.call("POST", f"{path}/{place.adam}/disable", token=place.owner)
    gone, _ = place.joined("gone@customer.example")
    world.call("DELETE", f"{path}/{gone}", token=place.owner)
    stranger = world.claims(world.owner("sam@other.example", name="Other")[1])["mid"]
    for token in (place.owner, place.staff):
        for member_id in (desk, pending, place.adam):
            assert code(place.transfer(member_id, token=token)) == (409, "member_not_eligible")
        for member_id in (gone, stranger, ids.new("mem")):
            assert code(place.transfer(member_id, token=token)) == (404, "not_found")
        assert code(place.transfer(place.olga, token=token)) == (409, "already_owner")
        for body in (
            {"member_id": place.mia},
            {"member_id": "mem_x", "reason": "r"},
            {"member_id": place.mia, "reason": " "},
            {"member_id": place.mia, "reason": "r" * 501},
            {"member_id": place.mia, "reason": "r", "at_once": True},
        ):
            assert place.call("POST", "", body, token=token).status_code == 422
    assert place.owners() == [place.olga]


def test_a_member_who_cannot_any_more_does_not_accept(place):
    offer = place.offer()
    path = f"/v1/organizations/{place.organization_id}/members/{place.mia}"
    place.world.call("POST", f"{path}/disable", token=place.owner)
    assert code(place.call("POST", f"/{offer}/accept", token=place.member)) == (
        409,
        "member_not_eligible",
    )
    assert place.call("GET").json["data"][0]["status"] == "offered"


def test_the_number_of_admins_counts(place, monkeypatch):
    monkeypatch.setattr(member_roles, "MAX_ADMINS", 1)
    offer = place.offer()
    for answer in (
        place.transfer(place.mia, token=place.staff),
        place.call("POST", f"/{offer}/accept", token=place.member),
    ):
        assert code(answer) == (409, "admin_limit")
    first = place.at_once(place.adam)
    assert place.roles() == {place.olga: "admin", place.mia: "member", place.adam: "owner"}
    path = f"/v1/organizations/{place.organization_id}/members"
    for member_id, role in ((place.olga, "member"), (place.mia, "admin")):
        assert (
            place.world.call(
                "PATCH", f"{path}/{member_id}", {"role": role}, token=place.staff
            ).status_code
            == 200
        )
    assert code(place.call("DELETE", f"/{first}", token=place.staff)) == (409, "admin_limit")
    assert place.owners() == [place.adam]


def test_the_providers_own_ownership_is_offered_by_its_owner_alone(place):
    world = place.world
    home = {"organization_id": place.provider_id}
    max_id, manager = place.joined("max@provider.example", preset="manager", **home)
    assert code(place.transfer(max_id, token=manager, **home)) == (403, "forbidden")
    offered = place.transfer(max_id, token=place.staff, **home).json
    assert (offered["status"], offered["by"], offered["follow_up"]) == ("offered", "owner", [])
    assert code(place.call("DELETE", f"/{offered['id']}", token=manager, **home)) == (
        403,
        "forbidden",
    )
    assert place.call("POST", f"/{offered['id']}/accept", token=manager, **home).status_code == 200
    assert world.log_in("max@provider.example")["role"] == "owner"
    assert world.log_in("admin@example.com")["role"] == "manager"


def test_another_tenants_transfers_do_not_exist(place):
    offer = place.offer()
    other_id, other = place.world.owner(
        "sam@other.example", name="Other", provider_id=ids.new("org")
    )
    assert place.call("GET", token=other).status_code == 404
    assert place.transfer(place.mia, token=other).status_code == 404
    assert place.call("DELETE", f"/{offer}", token=other).status_code == 404
    elsewhere = {"organization_id": other_id, "token": other}
    for transfer_id in (offer, "grt_x", ids.new("grt"), ids.new("mem"), "x" * 300):
        assert place.call("DELETE", f"/{transfer_id}", **elsewhere).status_code == 404
        assert place.call("POST", f"/{transfer_id}/accept", **elsewhere).status_code == 404


def test_the_same_key_is_the_same_transfer(place):
    key = {"headers": {"Idempotency-Key": "k"}}
    first, again = (place.transfer(place.mia, token=place.staff, **key) for _ in range(2))
    assert first.json == again.json and again.headers["Idempotent-Replayed"] == "true"
    assert len(place.call("GET", token=place.staff).json["data"]) == 1


def test_the_list_goes_page_by_page(place):
    made = [place.at_once(m) for m in (place.mia, place.adam, place.olga)]
    page = place.call("GET", "?limit=2", token=place.staff).json
    rest = place.call("GET", f"?limit=2&cursor={page['next_cursor']}", token=place.staff).json
    assert [row["id"] for row in page["data"] + rest["data"]] == made[::-1] and not rest["has_more"]


# --- the end of an organization


def test_a_deletion_cancels_an_offer_and_coming_back_does_not_revive_it(place, world):
    offer = place.offer()
    for _ in range(2):
        world.hear(org.EndAccess(organization_id=place.organization_id, deletion_id="d"))
    assert place.audited() == [("ownership.offered", "ok"), ("ownership.cancelled", "ok")]
    assert code(place.call("DELETE", f"/{offer}", token=place.staff)) == (
        409,
        "organization_closing",
    )
    world.hear(
        org.RestoreAccess(
            organization_id=place.organization_id, conversation_id="c", suspended=False
        )
    )
    assert code(place.call("POST", f"/{offer}/accept", token=place.log_in(MIA))) == (
        410,
        "offer_over",
    )


def test_reasons_are_erased_with_the_people(place, world):
    place.at_once()
    world.hear(org.EndAccess(organization_id=place.organization_id, deletion_id="d"))
    world.hear(org.EraseMembers(organization_id=place.organization_id, deletion_id="d"))
    [row] = place.call("GET", token=place.staff).json["data"]
    assert (row["reason"], row["from"]["name"], row["to"]["name"]) == ("", "Erased", "Erased")


def test_the_closing_check_tells_of_offers_and_of_who_is_inside(place, world):
    def codes():
        path = f"/internal/organizations/{place.organization_id}/closing-check"
        answer = world.client.get(path, auth=("org", "org's own"))
        assert answer.status_code == 200 and all(w["detail"] for w in answer.json["warnings"])
        return [w["code"] for w in answer.json["warnings"]]

    assert codes() == []
    place.offer()
    now = clock.now()
    inside = {
        "mode": "login_as",
        "access": "full",
        "reason": "r",
        "staff_identity_id": ids.new("idn"),
        "staff_member_id": ids.new("mem"),
        "staff_name": "S",
        "staff_session_id": ids.new("ses"),
        "provider_id": place.provider_id,
        "started_at": now,
        "expires_at": now + timedelta(minutes=30),
    }
    with world.database.transaction() as session:
        session.add(
            models.ActingSession(id=ids.new("ses"), organization_id=place.organization_id, **inside)
        )
    assert codes() == ["pending_transfer", "acting_session"]
    world.clock.pass_(minutes=31)
    assert codes() == ["pending_transfer"]
    with world.database.transaction() as session:
        session.execute(
            update(models.ActingSession).values(expires_at=clock.now() + timedelta(hours=1))
        )
    assert codes() == ["pending_transfer", "acting_session"]
    with world.database.transaction() as session:
        session.execute(update(models.ActingSession).values(ended_at=clock.now()))
    world.clock.pass_(hours=HOURS)
    assert codes() == []


# --- all at once


def _together(acts):
    """Each in a thread of its own, begun at the same moment; their answers in this order."""
    ready = threading.Barrier(len(acts))

    def run(act):
        ready.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def _asking(world, method, path, body=None, token=""):
    """A call by a client of its own, for a thread."""
    headers = {"Authorization": f"Bearer {token}"}
    return lambda: world.app.test_client().open(path, method=method, json=body, headers=headers)


def _check_one_owner(place, audited):
    [owner] = place.owners()
    assert place.world.said(messages.MembersChanged)[-1].owner.member_id == owner
    rows = [
        m
        for m in place.world.said(messages.AuditRecorded)
        if m.action in audited and m.outcome == "ok"
    ]
    for earlier, later in itertools.pairwise(rows):
        assert earlier.changes[0]["after"] == later.changes[0]["before"]
    assert not rows or rows[-1].changes[0]["after"] == owner
    return owner


CHANGES = ("ownership.transferred", "ownership.accepted", "ownership.undone")


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_eight_transfers_at_once_follow_each_other(place):
    world = place.world
    targets = [place.joined(f"t{n}@customer.example")[0] for n in range(8)]
    path = f"/v1/organizations/{place.organization_id}/ownership-transfers"
    answers = _together(
        [
            _asking(world, "POST", path, {"member_id": t, "reason": "r"}, place.staff)
            for t in targets
        ]
    )
    assert [a.status_code for a in answers] == [201] * 8, [a.text for a in answers]
    assert _check_one_owner(place, CHANGES) in targets
    assert sorted(place.roles()[t] for t in targets) == ["admin"] * 7 + ["owner"]
    assert world.revoked(place.owner)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_eight_offers_at_once_are_one(place):
    world = place.world
    targets = [place.joined(f"t{n}@customer.example")[0] for n in range(8)]
    path = f"/v1/organizations/{place.organization_id}/ownership-transfers"
    answers = _together(
        [
            _asking(world, "POST", path, {"member_id": t, "reason": "r"}, place.owner)
            for t in targets
        ]
    )
    assert sorted(a.status_code for a in answers) == [201] + [409] * 7
    assert {a.json["code"] for a in answers if a.status_code == 409} == {"transfer_pending"}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_everything_at_once_leaves_one_owner(place):
    world, base = place.world, f"/v1/organizations/{place.organization_id}"
    path, address = (
        f"{base}/ownership-transfers",
        {place.olga: OLGA, place.mia: MIA, place.adam: ADAM},
    )
    for turn in range(6):
        for member_id in address:
            world.call("POST", f"{base}/members/{member_id}/enable", token=place.staff)
        [was] = place.owners()
        owner_id, target = [m for m in address if m != was][:: 1 if turn % 2 else -1]
        before = place.at_once(owner_id)
        owner, offered = place.log_in(address[owner_id]), place.log_in(address[target])
        offer = place.transfer(target, token=owner).json["id"]
        calls = [
            ("POST", path, {"member_id": target, "reason": "r"}, place.staff),
            ("POST", f"{path}/{offer}/accept", None, offered),
            ("DELETE", f"{path}/{before}", None, place.staff),
            ("DELETE", f"{path}/{offer}", None, owner),
            ("PATCH", f"{base}/members/{owner_id}", {"role": "member"}, place.staff),
            ("POST", f"{base}/members/{owner_id}/disable", None, place.staff),
            ("POST", f"{base}/members/{target}/disable", None, place.staff),
            (
                "POST",
                "/v1/sessions",
                {"email": address[target], "password": "four calm otters drift"},
                "",
            ),
        ]
        answers = _together([_asking(world, *call) for call in calls])
        assert all(a.status_code < 500 for a in answers), [a.text for a in answers]
        now_owner = _check_one_owner(place, CHANGES)
        assert world.revoked(owner)
        with world.database.reading() as session:
            assert session.get_one(models.Member, now_owner).status == "active"


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_whoever_is_removed_at_the_same_time_is_not_the_owner(place):
    world, base = place.world, f"/v1/organizations/{place.organization_id}"
    for turn in range(4):
        target, _ = place.joined(f"t{turn}@customer.example")
        transferred, removed = _together(
            [
                _asking(
                    world,
                    "POST",
                    f"{base}/ownership-transfers",
                    {"member_id": target, "reason": "r"},
                    place.staff,
                ),
                _asking(world, "DELETE", f"{base}/members/{target}", None, place.staff),
            ]
        )
        assert (transferred.status_code, removed.status_code) in ((201, 409), (404, 204))
        _check_one_owner(place, CHANGES)
