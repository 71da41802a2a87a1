"""Invitations and other links: for whom they are, how many are sent, and what becomes of old
ones."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from chassis.runtime import clock, ids
from contracts import membership as messages
from contracts import org
from membership import jobs, models
from sqlalchemy import event, insert, select, update

OLGA, MIA, NEW = "olga@customer.example", "mia@customer.example", "mia.new@customer.example"
PASSWORD = "four calm otters drift"
OTHER = "seven quiet herons wait"


class Place:
    """A customer whose owner is logged in, run by a provider."""

    def __init__(self, world):
        self.world = world
        self.staff = world.provider()
        self.provider_id = world.claims(self.staff)["org"]
        self.organization_id, self.owner = world.owner(provider_id=self.provider_id)

    def call(self, method, rest="", body=None, *, token=None, organization_id=None):
        path = f"/v1/organizations/{organization_id or self.organization_id}/members{rest}"
        return self.world.call(method, path, body, token=token or self.owner)

    def add(self, address=MIA, role="member", **more):
        body = {
            "name": address.partition("@")[0].title(),
            "portal_access": True,
            "role": role,
            "email": address,
        }
        return self.call("POST", "", body, **more)

    def joined(self, address=MIA, role="member"):
        member_id = self.add(address, role).json["id"]
        self.world.accept(address)
        return member_id

    def show(self, member_id):
        return self.call("GET", f"/{member_id}").json

    def resend(self, member_id, **more):
        return self.call("POST", f"/{member_id}/resend-verification", **more)

    def pass_(self, **time):
        """Time goes by, and both are logged in again."""
        self.world.clock.pass_(**time)
        self.owner = self.world.log_in(OLGA)["access_token"]
        self.staff = self.world.log_in("admin@example.com")["access_token"]

    def verify(self, link, body=None, **more):
        return self.world.call("POST", f"/v1/verifications/{link}", body or {}, **more)

    def renew(self, link):
        answer = self.world.call("POST", f"/v1/verifications/{link}/renewal")
        assert (answer.status_code, answer.json) == (202, {"accepted": True})

    def undo_link(self, address=MIA):
        found = [m.get_content() for m in self.world.post() if m["To"] == address]
        return re.findall(r"https://app\.example/undo/(\S+)", "".join(found))[-1]

    def mails(self, address, words):
        return [m for m in self.world.post() if m["To"] == address and words in m.get_content()]

    def audited(self, action):
        return [m for m in self.world.said(messages.AuditRecorded) if m.action == action]

    def member_rows(self, count, **more):
        """So many members at once, straight into the database."""
        row = {
            "organization_id": self.organization_id,
            "role": "member",
            "status": "active",
            "verified": False,
            "name": "M",
            "sort_name": "m",
            "search": "m",
            "created_at": clock.now(),
        }
        rows = [row | {"id": ids.new("mem")} | more for _ in range(count)]
        with self.world.database.transaction() as session:
            session.execute(insert(models.Member), rows)
        return rows


@pytest.fixture
def place(world):
    return Place(world)


# --- signed in as somebody else


def test_signed_in_as_somebody_else_a_link_is_refused_and_stays_good(place):
    place.add()
    link = place.world.link(MIA)
    refused = place.verify(link, {"password": PASSWORD}, token=place.owner)
    assert (refused.status_code, refused.json["code"]) == (409, "signed_in_as_another")
    assert OLGA in refused.json["detail"] and MIA in refused.json["detail"]
    assert place.verify(link, {"password": PASSWORD}).status_code == 201


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer a.b.c", "Basic eDp5", ""])
def test_a_browser_with_an_old_token_can_use_a_link(place, header):
    place.add()
    body = {"password": PASSWORD}
    link = f"/v1/verifications/{place.world.link(MIA)}"
    assert (
        place.world.call("POST", link, body, headers={"Authorization": header}).status_code == 201
    )


def test_one_may_be_signed_in_as_oneself(place):
    second_id = place.world.customer(OLGA, name="Second", provider_id=place.provider_id)
    assert place.verify(place.world.link(OLGA), token=place.owner).status_code == 201
    assert place.world.log_in(OLGA, organization_id=second_id)


# --- how often


def test_a_minute_between_two_links_to_the_same_member(place):
    member_id = place.add().json["id"]
    refused = place.resend(member_id)
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_mails")
    assert 0 < int(refused.headers["Retry-After"]) <= 60 and "minute" in refused.json["detail"]
    place.world.clock.pass_(seconds=int(refused.headers["Retry-After"]))
    assert place.resend(member_id).status_code == 200
    assert place.resend(member_id).status_code == 429


def test_five_resends_a_day(place):
    member_id = place.add().json["id"]
    for _ in range(5):
        place.pass_(seconds=61)
        assert place.resend(member_id).status_code == 200
    place.pass_(seconds=61)
    refused = place.resend(member_id)
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_mails")
    assert (
        86_000 < int(refused.headers["Retry-After"]) < 86_400
        and "six links" in refused.json["detail"]
    )
    place.pass_(seconds=int(refused.headers["Retry-After"]))
    assert place.resend(member_id).status_code == 200


def test_changing_the_address_again_and_again_sends_no_more_than_that(place):
    member_id = place.add().json["id"]
    answers = [place.call("PATCH", f"/{member_id}", {"email": (NEW, MIA)[n % 2]}) for n in range(6)]
    assert [a.status_code for a in answers] == [200] * 5 + [429]
    assert place.show(member_id)["email"] == NEW


def test_twenty_invitations_an_hour_for_each_inviter(place):
    place.joined("adam@customer.example", "admin")
    admin = place.world.log_in("adam@customer.example")["access_token"]
    for n in range(19):
        assert place.add(f"m{n}@customer.example").status_code == 201
    refused = place.add("m20@customer.example")
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_mails")
    assert (
        "20 people" in refused.json["detail"] and 3500 < int(refused.headers["Retry-After"]) <= 3600
    )
    assert place.call("GET", "?q=m20").json["data"] == []
    assert place.add("m20@customer.example", token=admin).status_code == 201
    place.pass_(minutes=2)
    assert place.resend(place.call("GET", "?q=m7@").json["data"][0]["id"]).status_code == 200
    place.pass_(hours=1)
    assert place.add("m21@customer.example").status_code == 201


def test_two_hundred_a_day_for_an_organization(place):
    place.member_rows(200, invited_at=clock.now(), invited_by="somebody else")
    refused = place.add()
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_mails")
    assert "200 people" in refused.json["detail"]
    place.pass_(days=1, seconds=1)
    assert place.add().status_code == 201


def test_ten_a_day_to_one_address_wherever_they_come_from(place):
    for n in range(10):
        place.world.customer(MIA, name=f"Customer {n}")
    refused = place.add()
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_mails")
    assert "ten links" in refused.json["detail"] and int(refused.headers["Retry-After"]) > 86_000


def test_ten_resets_an_hour_from_one_network_and_the_answer_is_the_same(place):
    for n in range(12):
        answer = place.world.call(
            "POST", "/v1/password-resets", {"email": f"nobody{n}@customer.example"}
        )
        assert (answer.status_code, answer.json) == (202, {"accepted": True})
    place.world.call("POST", "/v1/password-resets", {"email": OLGA})
    assert place.mails(OLGA, "/reset/") == []
    elsewhere = {"X-Forwarded-For": "198.51.100.7"}
    place.world.call("POST", "/v1/password-resets", {"email": OLGA}, headers=elsewhere)
    assert len(place.mails(OLGA, "/reset/")) == 1
    place.world.clock.pass_(hours=1, seconds=1)
    place.world.call("POST", "/v1/password-resets", {"email": OLGA})
    assert len(place.mails(OLGA, "/reset/")) == 2


# --- how an invitation stands


def test_how_an_invitation_stands_is_shown_with_the_member(place):
    added = place.add()
    member_id = added.json["id"]
    assert added.json["invitation"] == {"sent_at": None, "expires_at": None, "expired": False}
    place.world.post()
    shown = place.show(member_id)["invitation"]
    assert shown["sent_at"] < shown["expires_at"] and shown["expired"] is False
    assert place.call("GET", "?q=mia").json["data"][0]["invitation"] == shown
    place.pass_(days=7)
    assert place.show(member_id)["invitation"] == shown | {"expired": True}
    assert place.resend(member_id).json["invitation"]["expired"] is False
    place.world.accept(MIA)
    assert place.show(member_id)["invitation"] is None
    desk = place.call("POST", "", {"name": "Desk", "portal_access": False}).json
    assert (
        desk["invitation"] is None
        and place.call("GET", "?q=olga").json["data"][0]["invitation"] is None
    )


def test_a_list_asks_the_database_as_often_for_many_as_for_one(place):
    asked = []
    event.listen(
        place.world.database.engine, "before_cursor_execute", lambda *told: asked.append(told[2])
    )

    def statements():
        asked.clear()
        assert place.call("GET", "?limit=200").status_code == 200
        return len(asked)

    few = statements()
    for n in range(15):
        place.add(f"m{n}@customer.example")
    assert statements() == few


# --- asking for a new one


def test_whoever_holds_an_old_link_can_ask_the_inviter_for_a_new_one(place):
    member_id = place.add().json["id"]
    link = place.world.link(MIA)
    place.renew(link)
    assert place.audited("invitation.renewal_asked") == []
    place.pass_(days=7, seconds=1)
    gone = place.verify(link, {"password": PASSWORD})
    assert (
        gone.status_code == 410
        and gone.json["code"] == "link_spent"
        and "/renewal" in gone.json["detail"]
    )
    for _ in range(3):
        place.renew(link)
    [told] = place.mails(OLGA, "have asked you for a new one")
    assert MIA in told.get_content() and link not in told.get_content()
    [row] = place.audited("invitation.renewal_asked")
    assert row.target["id"] == member_id and row.organization_id == place.organization_id
    place.pass_(days=1, seconds=1)
    place.renew(link)
    assert len(place.mails(OLGA, "have asked you for a new one")) == 2
    assert place.resend(member_id).status_code == 200
    place.world.accept(MIA)
    place.pass_(days=2)
    place.renew(link)
    assert len(place.audited("invitation.renewal_asked")) == 2


@pytest.mark.parametrize("how", ["unknown", "removed", "disabled", "moved", "ended"])
def test_asking_leads_to_nothing_where_nothing_is_to_be_had(place, how):
    member_id = place.add().json["id"]
    link = place.world.link(MIA) if how != "unknown" else "x" * 43
    place.pass_(days=8)
    if how == "removed":
        place.call("DELETE", f"/{member_id}")
    elif how == "disabled":
        place.call("POST", f"/{member_id}/disable")
    elif how == "moved":
        place.call("PATCH", f"/{member_id}", {"email": NEW})
    elif how == "ended":
        place.world.hear(org.EndAccess(organization_id=place.organization_id, deletion_id="d"))
    place.renew(link)
    assert place.audited("invitation.renewal_asked") == []
    assert place.mails(OLGA, "have asked you for a new one") == []


def test_when_the_inviter_has_gone_the_owner_is_told_and_for_an_owner_the_provider(place):
    admin_id = place.joined("adam@customer.example", "admin")
    admin = place.world.log_in("adam@customer.example")["access_token"]
    assert place.add(token=admin).status_code == 201
    place.world.customer("zoe@second.example", name="Second", provider_id=place.provider_id)
    links = [place.world.link(MIA), place.world.link("zoe@second.example")]
    place.pass_(days=8)
    assert place.call("DELETE", f"/{admin_id}").status_code == 204
    for link in links:
        place.renew(link)
    told = [
        m["To"] for m in place.world.post() if "have asked you for a new one" in m.get_content()
    ]
    assert sorted(told) == ["admin@example.com", OLGA]


# --- a changed address is undone


def test_the_old_address_is_told_and_can_take_the_login_back(place):
    world, member_id = place.world, place.joined()
    before = place.show(member_id)
    changed = place.call("PATCH", f"/{member_id}", {"email": NEW}).json
    assert changed["status"] == "pending" and changed["identity_id"] != before["identity_id"]
    world.accept(NEW, OTHER)
    theirs = world.log_in(NEW, OTHER)["access_token"]
    link = place.undo_link()
    looked = world.call("GET", f"/v1/verifications/{link}").json
    assert (looked["purpose"], looked["email"], looked["password_required"]) == ("undo", MIA, False)
    assert place.verify(link, token=theirs).json["code"] == "signed_in_as_another"
    assert place.verify(link, {"password": OTHER}).status_code == 422
    undone = place.verify(link)
    assert (undone.status_code, undone.json["email"], undone.json["member_id"]) == (
        201,
        MIA,
        member_id,
    )
    assert world.revoked(theirs) and place.show(member_id) == before
    assert world.log_in(MIA)["organization"]["id"] == place.organization_id
    assert world.call("POST", "/v1/sessions", {"email": NEW, "password": OTHER}).status_code == 401
    [row] = place.audited("email.change_undone")
    assert row.changes == [{"field": "email", "before": NEW, "after": MIA}]
    again = place.verify(link)
    assert (again.status_code, again.json["code"]) == (410, "link_spent")


def test_an_address_that_nobody_had_proved_is_not_told(place):
    member_id = place.add().json["id"]
    place.call("PATCH", f"/{member_id}", {"email": NEW})
    assert place.mails(MIA, "/undo/") == []
    with place.world.database.reading() as session:
        assert "mia@customer.example" not in session.scalars(select(models.Identity.email)).all()


def test_the_time_to_undo_runs_from_the_change_and_then_the_old_login_is_erased(place):
    world, member_id = place.world, place.joined()
    place.call("PATCH", f"/{member_id}", {"email": NEW})
    link = place.undo_link()
    world.accept(NEW, OTHER)

    def old():
        jobs.delete_expired(world.database, clock.now(), world.settings)
        with world.database.reading() as session:
            return session.scalars(
                select(models.Identity).where(models.Identity.email == MIA)
            ).all()

    world.clock.pass_(days=7, seconds=-60)
    assert world.call("GET", f"/v1/verifications/{link}").status_code == 200 and len(old()) == 1
    world.clock.pass_(seconds=61)
    assert place.verify(link).status_code in (404, 410) and old() == []
    assert world.log_in(NEW, OTHER)


def test_who_belongs_elsewhere_too_is_not_erased_when_the_time_to_undo_is_over(place):
    world, member_id = place.world, place.joined()
    world.customer(MIA, name="Second", provider_id=place.provider_id)
    world.accept(MIA, None)
    place.call("PATCH", f"/{member_id}", {"email": NEW})
    world.clock.pass_(days=8)
    jobs.delete_expired(world.database, clock.now(), world.settings)
    assert world.log_in(MIA)["organization"]["name"] == "Second"


def test_undoing_brings_nobody_in_who_was_shut_out_since(place):
    world = place.world
    disabled, removed, taken = (
        place.joined(f"{name}@customer.example") for name in ("dan", "rob", "tom")
    )
    for member_id, name in ((disabled, "dan"), (removed, "rob"), (taken, "tom")):
        place.call("PATCH", f"/{member_id}", {"email": f"{name}.new@customer.example"})
    links = [place.undo_link(f"{name}@customer.example") for name in ("dan", "rob", "tom")]
    place.call("POST", f"/{disabled}/disable")
    place.call("DELETE", f"/{removed}")
    assert place.call("PATCH", f"/{taken}", {"portal_access": False}).status_code == 200
    refused = place.verify(links[0])
    assert (refused.status_code, refused.json["code"]) == (409, "member_disabled")
    assert [place.verify(link).status_code for link in links[1:]] == [404, 404]
    with world.database.reading() as session:
        addresses = set(session.scalars(select(models.Identity.email)))
    assert "dan@customer.example" in addresses
    assert addresses.isdisjoint({"rob@customer.example", "tom@customer.example"})
    place.call("POST", f"/{disabled}/enable")
    assert place.verify(links[0]).status_code == 201


def test_undoing_makes_no_second_member_of_one_person(place):
    member_id = place.joined()
    place.call("PATCH", f"/{member_id}", {"email": NEW})
    link = place.undo_link()
    assert place.add(MIA).status_code == 201
    refused = place.verify(link)
    assert (refused.status_code, refused.json["code"]) == (409, "member_exists")
    assert place.show(member_id)["email"] == NEW


def test_whoever_was_put_in_somebodys_place_and_raised_is_not_replaced_by_them(place):
    member_id = place.joined()
    place.call("PATCH", f"/{member_id}", {"email": NEW})
    link = place.undo_link()
    place.world.accept(NEW, OTHER)
    place.call("PATCH", f"/{member_id}", {"role": "admin"})
    refused = place.verify(link)
    assert (refused.status_code, refused.json["code"]) == (409, "role_raised")
    place.call("PATCH", f"/{member_id}", {"role": "member"})
    assert place.verify(link).status_code == 201


@pytest.mark.parametrize("thief_is_first", [True, False])
def test_a_thief_who_moves_a_login_twice_cannot_take_it_back_from_its_owner(place, thief_is_first):
    world = place.world
    owner_id = world.claims(place.owner)["mid"]
    for after in ("thief@evil.example", "thief2@evil.example"):
        assert (
            place.call("PATCH", f"/{owner_id}", {"email": after}, token=place.staff).status_code
            == 200
        )
        world.accept(after, OTHER)
    victims, thiefs = place.undo_link(OLGA), place.undo_link("thief@evil.example")
    if thief_is_first:
        assert place.verify(thiefs).status_code == 201
    assert place.verify(victims).status_code == 201
    assert place.verify(thiefs).status_code in (404, 410)
    found = world.log_in(OLGA)
    assert found["role"] == "owner" and found["organization"]["id"] == place.organization_id
    assert (
        world.call(
            "POST", "/v1/sessions", {"email": "thief@evil.example", "password": OTHER}
        ).status_code
        == 401
    )


def test_erasing_the_organization_erases_those_who_could_have_come_back(place):
    member_id = place.joined()
    place.call("PATCH", f"/{member_id}", {"email": NEW})
    place.world.post()
    place.world.hear(org.EraseMembers(organization_id=place.organization_id, deletion_id="d"))
    with place.world.database.reading() as session:
        assert set(session.scalars(select(models.Identity.email))) == {None, "admin@example.com"}


# --- who may


def test_enabling_somebody_who_never_joined_invites_them_anew(place):
    member_id = place.add().json["id"]
    old = place.world.link(MIA)
    place.call("POST", f"/{member_id}/disable")
    assert place.verify(old, {"password": PASSWORD}).status_code == 410
    enabled = place.call("POST", f"/{member_id}/enable").json
    assert enabled["status"] == "pending" and enabled["invitation"]["expired"] is False
    assert place.world.link(MIA) != old
    place.world.accept(MIA)


def test_enabling_is_not_refused_for_the_mails_but_sends_no_more_of_them(place):
    member_id = place.add().json["id"]
    for _ in range(8):
        assert place.call("POST", f"/{member_id}/disable").status_code == 200
        assert place.call("POST", f"/{member_id}/enable").status_code == 200
    assert place.show(member_id)["invitation"]["expired"] is True
    assert len(place.audited("invitation.sent")) == 1 + 6


def test_who_acts_for_somebody_may_change_a_name_but_no_login(place):
    world, member_id = place.world, place.joined()
    claims = world.claims(place.owner)
    act = {
        "sub": ids.new("idn"),
        "org": place.provider_id,
        "sid": ids.new("ses"),
        "mode": "login_as",
        "access": "full",
        "reason": "",
        "name": "Sue",
    }
    acting = world.app.extensions["signer"].sign(claims | {"act": act})
    for body in (
        {"email": NEW},
        {"role": "admin"},
        {"portal_access": False},
        {"preset": None},
        {"name": "X", "role": "member"},
    ):
        assert place.call("PATCH", f"/{member_id}", body, token=acting).status_code == 403, body
    assert (
        place.call("PATCH", f"/{member_id}", {"name": "New Name"}, token=acting).status_code == 200
    )
    assert place.show(member_id)["name"] == "New Name" and place.show(member_id)["email"] == MIA


def test_somebody_elses_password_is_reset_by_a_link_to_them(place):
    world, member_id = place.world, place.joined()
    token = world.log_in(MIA)["access_token"]
    asked = place.call("POST", f"/{member_id}/reset-password")
    assert asked.status_code == 200 and asked.json["id"] == member_id
    assert not world.revoked(token) and world.log_in(MIA)
    [row] = place.audited("password.reset_asked")
    assert row.target["id"] == member_id and row.actor["label"] == "Olga Owner"
    link = world.link(MIA)
    assert world.call("POST", f"/v1/password-resets/{link}", {"password": OTHER}).status_code == 201
    assert world.revoked(token) and world.log_in(MIA, OTHER)
    for _ in range(2):
        assert place.call("POST", f"/{member_id}/reset-password").status_code == 200
    refused = place.call("POST", f"/{member_id}/reset-password")
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_mails")
    assert 0 < int(refused.headers["Retry-After"]) <= 3600


def test_there_is_no_password_to_reset_of_who_has_none(place):
    pending, shut = place.add().json["id"], place.joined("dan@customer.example")
    desk = place.call("POST", "", {"name": "Desk", "portal_access": False}).json["id"]
    place.call("POST", f"/{shut}/disable")
    for member_id in (pending, shut, desk):
        refused = place.call("POST", f"/{member_id}/reset-password")
        assert (refused.status_code, refused.json["code"]) == (409, "no_password_to_reset")


# --- limits, on the real numbers


def test_ten_thousand_members_and_a_hundred_admins(place):
    rows = place.member_rows(9_998)
    with place.world.database.transaction() as session:
        some = [row["id"] for row in rows[:99]]
        session.execute(
            update(models.Member).where(models.Member.id.in_(some)).values(role="admin")
        )
        session.execute(
            update(models.Member)
            .where(models.Member.id == rows[200]["id"])
            .values(status="disabled")
        )
    desk = {"name": "Desk", "portal_access": False}
    assert place.add(MIA, "admin").status_code == 201
    refused = place.call("POST", "", desk)
    assert (refused.status_code, refused.json["code"]) == (409, "member_limit")
    assert place.call("DELETE", f"/{rows[300]['id']}").status_code == 204
    assert place.add("adam@customer.example", "admin").json["code"] == "admin_limit"
    assert place.call("POST", "", desk).status_code == 201
    refused = place.call("POST", "", desk)
    assert refused.json["code"] == "member_limit"


def test_who_loses_their_login_twice_at_once_gets_one_pin(place):
    member_id = place.joined()

    def take(_):
        with place.world.app.test_client() as client:
            return client.patch(
                f"/v1/organizations/{place.organization_id}/members/{member_id}",
                json={"portal_access": False},
                headers={"Authorization": f"Bearer {place.owner}"},
            )

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(take, range(4)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum("pin" in answer.json for answer in answers) == 1
