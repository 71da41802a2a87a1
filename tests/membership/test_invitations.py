"""Invitations and other links: recipients, limits and expiry."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from chassis.runtime import clock, ids
from contracts import membership as messages
from contracts import org
from membership import jobs, models
from membership.values import attempt_limits
from membership.values.attempt_limits import Limit
from sqlalchemy import event, insert, select, update

OLGA, MIA, NEW = "olga@customer.example", "mia@customer.example", "mia.new@customer.example"
PASSWORD = "four calm otters drift"
OTHER = "seven quiet herons wait"


class Setup:
    """A provider's customer whose owner is logged in."""

    def __init__(self, service):
        self.service = service
        self.staff = service.provider()
        self.provider_id = service.claims(self.staff)["org"]
        self.organization_id, self.owner = service.owner(provider_id=self.provider_id)

    def call(self, method, rest="", body=None, *, token=None, organization_id=None):
        path = f"/v1/organizations/{organization_id or self.organization_id}/members{rest}"
        return self.service.call(method, path, body, token=token or self.owner)

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
        self.service.accept(address)
        return member_id

    def show(self, member_id):
        return self.call("GET", f"/{member_id}").json

    def resend(self, member_id, **more):
        return self.call("POST", f"/{member_id}/resend-verification", **more)

    def advance(self, **time):
        """Advance the clock and log both in again."""
        self.service.clock.advance(**time)
        self.owner = self.service.log_in(OLGA)["access_token"]
        self.staff = self.service.log_in("admin@example.com")["access_token"]

    def verify(self, link, body=None, **more):
        return self.service.call("POST", f"/v1/verifications/{link}", body or {}, **more)

    def renew(self, link):
        answer = self.service.call("POST", f"/v1/verifications/{link}/renewal")
        assert (answer.status_code, answer.json) == (202, {"accepted": True})

    def undo_link(self, address=MIA):
        mails = [m.get_content() for m in self.service.send_mails() if m["To"] == address]
        return re.findall(r"https://app\.example/undo/(\S+)", "".join(mails))[-1]

    def mails(self, address, words):
        return [
            m for m in self.service.send_mails() if m["To"] == address and words in m.get_content()
        ]

    def audited(self, action):
        return [m for m in self.service.published(messages.AuditRecorded) if m.action == action]

    def member_rows(self, count, **more):
        """Insert members directly into the database."""
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
        with self.service.database.transaction() as session:
            session.execute(insert(models.Member), rows)
        return rows


@pytest.fixture
def setup(service):
    return service.prepared("invitations", lambda: Setup(service))


# --- signed in as somebody else


def test_a_link_is_refused_while_signed_in_as_someone_else_and_stays_valid(setup):
    setup.add()
    link = setup.service.link(MIA)
    refused = setup.verify(link, {"password": PASSWORD}, token=setup.owner)
    assert (refused.status_code, refused.json["code"]) == (409, "signed_in_as_another")
    assert OLGA in refused.json["detail"] and MIA in refused.json["detail"]
    assert setup.verify(link, {"password": PASSWORD}).status_code == 201


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer a.b.c", "Basic eDp5", ""])
def test_a_browser_with_an_old_token_can_use_a_link(setup, header):
    setup.add()
    body = {"password": PASSWORD}
    link = f"/v1/verifications/{setup.service.link(MIA)}"
    assert (
        setup.service.call("POST", link, body, headers={"Authorization": header}).status_code == 201
    )


def test_a_link_works_while_signed_in_as_its_recipient(setup):
    second_id = setup.service.customer(OLGA, name="Second", provider_id=setup.provider_id)
    assert setup.verify(setup.service.link(OLGA), token=setup.owner).status_code == 201
    assert setup.service.log_in(OLGA, organization_id=second_id)


# --- how often


def test_one_link_a_minute_to_the_same_member(setup):
    member_id = setup.add().json["id"]
    refused = setup.resend(member_id)
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_mails")
    assert 0 < int(refused.headers["Retry-After"]) <= 60 and "minute" in refused.json["detail"]
    setup.service.clock.advance(seconds=int(refused.headers["Retry-After"]))
    assert setup.resend(member_id).status_code == 200
    assert setup.resend(member_id).status_code == 429


def test_five_resends_a_day(setup):
    member_id = setup.add().json["id"]
    for _ in range(5):
        setup.advance(seconds=61)
        assert setup.resend(member_id).status_code == 200
    setup.advance(seconds=61)
    refused = setup.resend(member_id)
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_mails")
    assert (
        86_000 < int(refused.headers["Retry-After"]) < 86_400
        and "six links" in refused.json["detail"]
    )
    setup.advance(seconds=int(refused.headers["Retry-After"]))
    assert setup.resend(member_id).status_code == 200


def test_repeated_address_changes_do_not_exceed_that(setup):
    member_id = setup.add().json["id"]
    answers = [setup.call("PATCH", f"/{member_id}", {"email": (NEW, MIA)[n % 2]}) for n in range(6)]
    assert [a.status_code for a in answers] == [200] * 5 + [429]
    assert setup.show(member_id)["email"] == NEW


def test_two_hundred_a_day_for_an_organization(setup, monkeypatch):
    limit = attempt_limits.INVITATIONS_BY_ORGANIZATION
    assert limit == Limit(200, timedelta(days=1))
    monkeypatch.setattr(attempt_limits, "INVITATIONS_BY_ORGANIZATION", Limit(2, limit.within))
    assert [setup.add(f"m{n}@customer.example").status_code for n in range(2)] == [201, 201]
    refused = setup.add()
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_mails")
    assert (
        "200 invitations" in refused.json["detail"] and int(refused.headers["Retry-After"]) > 86_000
    )
    assert setup.call("GET", "?q=mia").json["data"] == []
    setup.advance(days=1, seconds=1)
    assert setup.add().status_code == 201


def test_ten_resets_an_hour_from_one_network_with_the_same_response(setup):
    elsewhere = {"X-Forwarded-For": "198.51.100.7"}

    def reset(address, headers=None):
        body = {"email": address}
        answer = setup.service.call("POST", "/v1/password-resets", body, headers=headers)
        assert (answer.status_code, answer.json) == (202, {"accepted": True})

    for n in range(12):
        reset(f"nobody{n}@customer.example", elsewhere)
    reset(OLGA, elsewhere)
    assert setup.mails(OLGA, "/reset/") == []
    reset(OLGA)
    assert len(setup.mails(OLGA, "/reset/")) == 1, "she has signed in from this network"
    setup.service.clock.advance(hours=1, seconds=1)
    reset(OLGA, elsewhere)
    assert len(setup.mails(OLGA, "/reset/")) == 2


# --- how an invitation stands


def test_a_member_shows_the_status_of_the_invitation(setup):
    added = setup.add()
    member_id = added.json["id"]
    assert added.json["invitation"] == {"sent_at": None, "expires_at": None, "expired": False}
    setup.service.send_mails()
    shown = setup.show(member_id)["invitation"]
    assert shown["sent_at"] < shown["expires_at"] and shown["expired"] is False
    assert setup.call("GET", "?q=mia").json["data"][0]["invitation"] == shown
    setup.advance(days=7)
    assert setup.show(member_id)["invitation"] == shown | {"expired": True}
    assert setup.resend(member_id).json["invitation"]["expired"] is False
    setup.service.accept(MIA)
    assert setup.show(member_id)["invitation"] is None
    desk = setup.call("POST", "", {"name": "Desk", "portal_access": False}).json
    assert (
        desk["invitation"] is None
        and setup.call("GET", "?q=olga").json["data"][0]["invitation"] is None
    )


def test_a_list_uses_as_many_queries_for_many_as_for_one(setup):
    executed = []
    event.listen(
        setup.service.database.engine,
        "before_cursor_execute",
        lambda *arguments: executed.append(arguments[2]),
    )

    def statements():
        executed.clear()
        assert setup.call("GET", "?limit=200").status_code == 200
        return len(executed)

    few = statements()
    for n in range(15):
        setup.add(f"m{n}@customer.example")
    assert statements() == few


# --- asking for a new one


def test_the_holder_of_an_expired_link_can_ask_the_inviter_for_a_new_one(setup):
    member_id = setup.add().json["id"]
    link = setup.service.link(MIA)
    setup.renew(link)
    assert setup.audited("invitation.renewal_asked") == []
    setup.advance(days=7, seconds=1)
    gone = setup.verify(link, {"password": PASSWORD})
    assert (
        gone.status_code == 410
        and gone.json["code"] == "link_spent"
        and "/renewal" in gone.json["detail"]
    )
    for _ in range(3):
        setup.renew(link)
    [mail] = setup.mails(OLGA, "have asked you for a new one")
    assert MIA in mail.get_content() and link not in mail.get_content()
    [row] = setup.audited("invitation.renewal_asked")
    assert row.target["id"] == member_id and row.organization_id == setup.organization_id
    setup.advance(days=1, seconds=1)
    setup.renew(link)
    assert len(setup.mails(OLGA, "have asked you for a new one")) == 2
    assert setup.resend(member_id).status_code == 200
    setup.service.accept(MIA)
    setup.advance(days=2)
    setup.renew(link)
    assert len(setup.audited("invitation.renewal_asked")) == 2


@pytest.mark.parametrize("how", ["unknown", "removed", "disabled", "moved", "ended"])
def test_a_renewal_request_does_nothing_where_no_link_can_follow(setup, how):
    member_id = setup.add().json["id"]
    link = setup.service.link(MIA) if how != "unknown" else "x" * 43
    setup.advance(days=8)
    if how == "removed":
        setup.call("DELETE", f"/{member_id}")
    elif how == "disabled":
        setup.call("POST", f"/{member_id}/disable")
    elif how == "moved":
        setup.call("PATCH", f"/{member_id}", {"email": NEW})
    elif how == "ended":
        setup.service.receive(org.EndAccess(organization_id=setup.organization_id, deletion_id="d"))
    setup.renew(link)
    assert setup.audited("invitation.renewal_asked") == []
    assert setup.mails(OLGA, "have asked you for a new one") == []


def test_without_the_inviter_the_owner_is_notified_and_for_an_owner_the_provider(setup):
    admin_id = setup.joined("adam@customer.example", "admin")
    admin = setup.service.log_in("adam@customer.example")["access_token"]
    assert setup.add(token=admin).status_code == 201
    setup.service.customer("zoe@second.example", name="Second", provider_id=setup.provider_id)
    links = [setup.service.link(MIA), setup.service.link("zoe@second.example")]
    setup.advance(days=8)
    assert setup.call("DELETE", f"/{admin_id}").status_code == 204
    for link in links:
        setup.renew(link)
    addresses = [
        m["To"]
        for m in setup.service.send_mails()
        if "have asked you for a new one" in m.get_content()
    ]
    assert sorted(addresses) == ["admin@example.com", OLGA]


# --- a changed address is undone


def test_the_old_address_is_notified_and_can_take_the_login_back(setup):
    service, member_id = setup.service, setup.joined()
    before = setup.show(member_id)
    changed = setup.call("PATCH", f"/{member_id}", {"email": NEW}).json
    assert changed["status"] == "active" and changed["pending_email"] == NEW
    service.accept(NEW, OTHER)
    assert setup.show(member_id)["identity_id"] != before["identity_id"]
    theirs = service.log_in(NEW, OTHER)["access_token"]
    link = setup.undo_link()
    looked = service.call("GET", f"/v1/verifications/{link}").json
    assert (looked["purpose"], looked["email"], looked["password_required"]) == ("undo", MIA, False)
    assert setup.verify(link, token=theirs).json["code"] == "signed_in_as_another"
    assert setup.verify(link, {"password": OTHER}).status_code == 422
    undone = setup.verify(link)
    assert (undone.status_code, undone.json["email"], undone.json["member_id"]) == (
        201,
        MIA,
        member_id,
    )
    after = setup.show(member_id)
    assert service.is_revoked(theirs) and after == before
    assert after["last_signed_in_at"] is None, "not the other person's"
    assert service.log_in(MIA)["organization"]["id"] == setup.organization_id
    assert (
        service.call("POST", "/v1/sessions", {"email": NEW, "password": OTHER}).status_code == 401
    )
    [row] = setup.audited("email.change_undone")
    assert row.changes == [{"field": "email", "before": NEW, "after": MIA}]
    again = setup.verify(link)
    assert (again.status_code, again.json["code"]) == (410, "link_spent")


def test_an_unverified_former_address_is_not_notified(setup):
    member_id = setup.add().json["id"]
    setup.call("PATCH", f"/{member_id}", {"email": NEW})
    assert setup.mails(MIA, "/undo/") == []
    with setup.service.database.reading() as session:
        assert "mia@customer.example" not in session.scalars(select(models.Identity.email)).all()


def test_an_undo_link_expires_after_the_change_and_the_old_identity_is_erased(setup):
    service, member_id = setup.service, setup.joined()
    setup.call("PATCH", f"/{member_id}", {"email": NEW})
    link = setup.undo_link()
    service.accept(NEW, OTHER)

    def old():
        jobs.delete_expired(service.database, clock.now(), service.settings)
        with service.database.reading() as session:
            return session.scalars(
                select(models.Identity).where(models.Identity.email == MIA)
            ).all()

    service.clock.advance(days=7, seconds=-60)
    assert service.call("GET", f"/v1/verifications/{link}").status_code == 200 and len(old()) == 1
    service.clock.advance(seconds=61)
    assert setup.verify(link).status_code in (404, 410) and old() == []
    assert service.log_in(NEW, OTHER)


def test_members_elsewhere_are_not_erased_when_the_undo_link_expires(setup):
    service, member_id = setup.service, setup.joined()
    service.customer(MIA, name="Second", provider_id=setup.provider_id)
    service.accept(MIA)
    setup.call("PATCH", f"/{member_id}", {"email": NEW})
    service.accept(NEW, OTHER)
    service.clock.advance(days=8)
    jobs.delete_expired(service.database, clock.now(), service.settings)
    assert service.log_in(MIA)["organization"]["name"] == "Second"


def test_an_undo_link_does_not_enable_a_disabled_member(setup):
    service = setup.service
    disabled, removed, taken = (
        setup.joined(f"{name}@customer.example") for name in ("dan", "rob", "tom")
    )
    for member_id, name in ((disabled, "dan"), (removed, "rob"), (taken, "tom")):
        setup.call("PATCH", f"/{member_id}", {"email": f"{name}.new@customer.example"})
        service.accept(f"{name}.new@customer.example", OTHER)
    links = [setup.undo_link(f"{name}@customer.example") for name in ("dan", "rob", "tom")]
    setup.call("POST", f"/{disabled}/disable")
    setup.call("DELETE", f"/{removed}")
    assert setup.call("PATCH", f"/{taken}", {"portal_access": False}).status_code == 200
    refused = setup.verify(links[0])
    assert (refused.status_code, refused.json["code"]) == (409, "member_disabled")
    assert [setup.verify(link).status_code for link in links[1:]] == [410, 410]
    with service.database.reading() as session:
        addresses = set(session.scalars(select(models.Identity.email)))
    assert "dan@customer.example" in addresses
    assert addresses.isdisjoint({"rob@customer.example", "tom@customer.example"})
    setup.call("POST", f"/{disabled}/enable")
    assert setup.verify(links[0]).status_code == 201


def test_an_undo_link_does_not_make_one_person_two_members(setup):
    member_id = setup.joined()
    setup.call("PATCH", f"/{member_id}", {"email": NEW})
    link = setup.undo_link()
    setup.service.accept(NEW, OTHER)
    again = setup.add(MIA)
    assert again.status_code == 201
    assert setup.verify(link).status_code == 201
    assert setup.show(member_id)["email"] == MIA
    assert setup.call("GET", f"/{again.json['id']}").status_code == 404


def test_an_undo_link_does_not_give_a_higher_role(setup):
    member_id = setup.joined()
    setup.call("PATCH", f"/{member_id}", {"email": NEW})
    link = setup.undo_link()
    setup.service.accept(NEW, OTHER)
    setup.call("PATCH", f"/{member_id}", {"role": "admin"})
    refused = setup.verify(link)
    assert (refused.status_code, refused.json["code"]) == (409, "role_raised")
    setup.call("PATCH", f"/{member_id}", {"role": "member"})
    assert setup.verify(link).status_code == 201


@pytest.mark.parametrize("thief_is_first", [True, False])
def test_a_thief_who_moves_a_login_twice_cannot_take_it_back_from_its_owner(setup, thief_is_first):
    service = setup.service
    owner_id = service.claims(setup.owner)["mid"]
    for after in ("thief@evil.example", "thief2@evil.example"):
        assert (
            setup.call("PATCH", f"/{owner_id}", {"email": after}, token=setup.staff).status_code
            == 200
        )
        service.accept(after, OTHER)
    victims, thiefs = setup.undo_link(OLGA), setup.undo_link("thief@evil.example")
    if thief_is_first:
        assert setup.verify(thiefs).status_code == 201
    assert setup.verify(victims).status_code == 201
    assert setup.verify(thiefs).status_code in (404, 410)
    session = service.log_in(OLGA)
    assert session["role"] == "owner" and session["organization"]["id"] == setup.organization_id
    assert (
        service.call(
            "POST", "/v1/sessions", {"email": "thief@evil.example", "password": OTHER}
        ).status_code
        == 401
    )


def test_erasing_the_organization_erases_former_identities_too(setup):
    member_id = setup.joined()
    setup.call("PATCH", f"/{member_id}", {"email": NEW})
    setup.service.send_mails()
    setup.service.receive(org.EraseMembers(organization_id=setup.organization_id, deletion_id="d"))
    with setup.service.database.reading() as session:
        assert set(session.scalars(select(models.Identity.email))) == {None, "admin@example.com"}


# --- who may


def test_enabling_a_member_who_never_joined_invites_them_again(setup):
    member_id = setup.add().json["id"]
    old = setup.service.link(MIA)
    setup.call("POST", f"/{member_id}/disable")
    assert setup.verify(old, {"password": PASSWORD}).status_code == 410
    enabled = setup.call("POST", f"/{member_id}/enable").json
    assert enabled["status"] == "pending" and enabled["invitation"]["expired"] is False
    assert setup.service.link(MIA) != old
    setup.service.accept(MIA)


def test_enabling_works_beyond_the_email_limit_but_sends_nothing(setup):
    member_id = setup.add().json["id"]
    for _ in range(8):
        assert setup.call("POST", f"/{member_id}/disable").status_code == 200
        assert setup.call("POST", f"/{member_id}/enable").status_code == 200
    assert setup.show(member_id)["invitation"]["expired"] is True
    assert len(setup.audited("invitation.sent")) == 1 + 6


def test_acting_staff_may_change_a_name_but_no_login(setup):
    service, member_id = setup.service, setup.joined()
    claims = service.claims(setup.owner)
    act = {
        "sub": ids.new("idn"),
        "org": setup.provider_id,
        "sid": ids.new("ses"),
        "mode": "login_as",
        "access": "full",
        "reason": "",
        "name": "Sue",
    }
    acting = service.app.extensions["signer"].sign(claims | {"act": act})
    for body in (
        {"email": NEW},
        {"role": "admin"},
        {"portal_access": False},
        {"preset": None},
        {"name": "X", "role": "member"},
    ):
        assert setup.call("PATCH", f"/{member_id}", body, token=acting).status_code == 403, body
    assert (
        setup.call("PATCH", f"/{member_id}", {"name": "New Name"}, token=acting).status_code == 200
    )
    assert setup.show(member_id)["label"] == "New Name" and setup.show(member_id)["email"] == MIA


def test_another_persons_password_is_reset_by_a_link_to_them(setup):
    service, member_id = setup.service, setup.joined()
    token = service.log_in(MIA)["access_token"]
    requested = setup.call("POST", f"/{member_id}/reset-password")
    assert requested.status_code == 200 and requested.json["id"] == member_id
    assert not service.is_revoked(token) and service.log_in(MIA)
    [row] = setup.audited("password.reset_asked")
    assert row.target["id"] == member_id and row.actor["label"] == "Olga Owner"
    link = service.link(MIA)
    assert (
        service.call("POST", f"/v1/password-resets/{link}", {"password": OTHER}).status_code == 201
    )
    assert service.is_revoked(token) and service.log_in(MIA, OTHER)
    for _ in range(2):
        assert setup.call("POST", f"/{member_id}/reset-password").status_code == 200
    refused = setup.call("POST", f"/{member_id}/reset-password")
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_mails")
    assert 0 < int(refused.headers["Retry-After"]) <= 3600


def test_a_member_without_a_password_has_none_to_reset(setup):
    pending, shut = setup.add().json["id"], setup.joined("dan@customer.example")
    desk = setup.call("POST", "", {"name": "Desk", "portal_access": False}).json["id"]
    setup.call("POST", f"/{shut}/disable")
    for member_id in (pending, shut, desk):
        refused = setup.call("POST", f"/{member_id}/reset-password")
        assert (refused.status_code, refused.json["code"]) == (409, "no_password_to_reset")


# --- limits, on the real numbers


def test_ten_thousand_members_and_a_hundred_admins(setup):
    rows = setup.member_rows(9_998)
    with setup.service.database.transaction() as session:
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
    assert setup.add(MIA, "admin").status_code == 201
    refused = setup.call("POST", "", desk)
    assert (refused.status_code, refused.json["code"]) == (409, "member_limit")
    assert setup.call("DELETE", f"/{rows[300]['id']}").status_code == 204
    assert setup.add("adam@customer.example", "admin").json["code"] == "admin_limit"
    assert setup.call("POST", "", desk).status_code == 201
    refused = setup.call("POST", "", desk)
    assert refused.json["code"] == "member_limit"


def test_two_concurrent_removals_of_a_login_create_one_pin(setup):
    member_id = setup.joined()

    def take(_):
        with setup.service.app.test_client() as client:
            return client.patch(
                f"/v1/organizations/{setup.organization_id}/members/{member_id}",
                json={"portal_access": False},
                headers={"Authorization": f"Bearer {setup.owner}"},
            )

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(take, range(4)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum("pin" in answer.json for answer in answers) == 1
