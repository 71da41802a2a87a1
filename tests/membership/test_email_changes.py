"""A changed address takes effect once it is proved, and the old one can undo it."""

import re
from typing import Any

import pytest
from membership import models
from sqlalchemy import select

from tests.membership.conftest import MembershipService

OLGA, MIA, NEW = "olga@customer.example", "mia@customer.example", "mia@new.example"
PASSWORD, OTHER = "four calm otters drift", "seven loud herons sing"


class World:
    """Mia is a member of two customers of one provider."""

    def __init__(self, service: MembershipService) -> None:
        self.service = service
        self.staff = service.provider()
        self.provider_id = service.claims(self.staff)["org"]
        self.first, self.olga = service.owner(provider_id=self.provider_id)
        self.second, self.sam = service.owner("sam@second.example", provider_id=self.provider_id)
        self.mia = self.invite(MIA)
        service.accept(MIA)
        self.mia_elsewhere = self.invite(MIA, self.second, self.sam)
        service.accept(MIA)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return self.service.call(*args, **kwargs)

    def path(self, member_id: str = "", organization_id: str = "") -> str:
        base = f"/v1/organizations/{organization_id or self.first}/members"
        return f"{base}/{member_id}" if member_id else base

    def invite(self, email: str, organization_id: str = "", token: str = "") -> str:
        body = {"name": "Mia Smith", "portal_access": True, "role": "member", "email": email}
        path = self.path(organization_id=organization_id)
        added = self.call("POST", path, body, token=token or self.olga)
        assert added.status_code == 201, added.text
        return str(added.json["id"])

    def change(self, email: str, member_id: str = "", token: str = "") -> Any:
        path = self.path(member_id or self.mia)
        return self.call("PATCH", path, {"email": email}, token=token or self.olga)

    def show(self) -> dict[str, Any]:
        shown = self.call("GET", self.path(self.mia), token=self.olga).json
        return {name: shown[name] for name in ("email", "pending_email", "status", "verified")}

    def use(self, link: str, body: Any = None) -> tuple[int, str | None]:
        used = self.call("POST", f"/v1/verifications/{link}", body or {})
        return used.status_code, used.json.get("code")

    def undo_link(self, to: str = MIA) -> str:
        texts = [m.get_content() for m in self.service.send_mails() if m["To"] == to]
        return re.findall(r"https://app\.example/undo/(\S+)", "\n".join(texts))[-1]

    def reports(self) -> list[tuple[str, str]]:
        return [
            (m["To"], m.get_content())
            for m in self.service.send_mails()
            if "was changed back" in " ".join(m["Subject"].split())
        ]

    def logs_in(self, email: str, password: str = PASSWORD, organization_id: str = "") -> bool:
        body = {"email": email, "password": password}
        body |= {"organization_id": organization_id} if organization_id else {}
        return bool(self.call("POST", "/v1/sessions", body).status_code == 201)


def prepared_world(service: MembershipService) -> World:
    return service.prepared("email changes", lambda: World(service))


@pytest.fixture
def world(service: MembershipService) -> World:
    return prepared_world(service)


JOINED = {"email": MIA, "pending_email": None, "status": "active", "verified": True}


def test_the_old_address_works_until_the_new_one_is_proved(world: World) -> None:
    session = world.service.log_in(MIA, organization_id=world.first)

    changed = world.change(NEW)

    assert (changed.status_code, changed.json["email"]) == (200, MIA)
    assert world.show() == JOINED | {"pending_email": NEW}
    listed = world.call("GET", world.path(), token=world.olga).json["data"]
    assert {m["email"]: m["pending_email"] for m in listed} == {OLGA: None, MIA: NEW}
    assert not world.service.is_revoked(session["access_token"])
    link = world.service.link(NEW)
    seen = world.call("GET", f"/v1/verifications/{link}").json
    assert (seen["purpose"], seen["email"], seen["password_required"]) == (
        "verification",
        NEW,
        True,
    )
    assert world.use(link) == (422, "invalid")
    assert world.logs_in(MIA, organization_id=world.first)

    assert world.use(link, {"password": OTHER}) == (201, None)

    assert world.show() == JOINED | {"email": NEW}
    assert world.service.is_revoked(session["access_token"])
    assert world.logs_in(NEW, OTHER) and not world.logs_in(NEW, OTHER, world.second)
    assert world.logs_in(MIA, organization_id=world.second), "with the same password"
    assert not world.logs_in(MIA, organization_id=world.first)
    assert world.use(link, {"password": OTHER}) == (410, "link_spent")


def test_who_has_the_new_address_joins_with_their_own_password(world: World) -> None:
    sam = world.call(
        "PATCH", world.path(world.mia), {"email": "sam@second.example"}, token=world.olga
    )
    assert sam.status_code == 200
    link = world.service.link("sam@second.example")

    assert world.use(link, {"password": OTHER}) == (422, "password_not_expected")
    assert world.use(link) == (201, None)

    assert world.logs_in("sam@second.example", organization_id=world.first)
    shown = world.call("GET", world.path(world.mia), token=world.olga).json
    assert (shown["name"], shown["label"]) == ("Olga Owner", "Mia Smith")


def test_a_new_change_replaces_the_pending_one_and_the_present_address_cancels_it(
    world: World,
) -> None:
    world.change("typo@new.example")
    first = world.service.link("typo@new.example")
    world.change(NEW)
    second = world.service.link(NEW)
    assert world.use(first, {"password": OTHER}) == (410, "link_spent")
    assert world.change(MIA).json["pending_email"] is None
    assert world.use(second, {"password": OTHER}) == (410, "link_spent")
    assert world.use(world.undo_link()) == (410, "link_spent"), "nothing is left to undo"
    assert world.show() == JOINED


def test_the_link_is_sent_again_and_expires_after_a_day(world: World) -> None:
    world.change(NEW)
    first = world.service.link(NEW)
    again = world.call("POST", world.path(world.mia) + "/resend-verification", token=world.olga)
    assert again.status_code == 200
    second = world.service.link(NEW)
    assert world.use(first, {"password": OTHER}) == (410, "link_spent")
    world.service.clock.advance(hours=24, seconds=1)
    assert world.use(second, {"password": OTHER}) == (410, "link_spent")
    assert world.logs_in(MIA)


def test_an_address_taken_meanwhile_is_refused_at_the_link(world: World) -> None:
    assert world.change(OLGA).json["code"] == "member_exists"
    world.change(NEW)
    link = world.service.link(NEW)
    world.invite(NEW)
    assert world.use(link, {"password": OTHER}) == (409, "member_exists")
    assert world.show() == JOINED | {"pending_email": NEW}


def test_a_pending_change_does_not_outlive_what_allowed_it(world: World) -> None:
    world.change(NEW, token=world.staff)
    link = world.service.link(NEW)
    world.call("PATCH", world.path(world.mia), {"role": "admin"}, token=world.olga)
    assert world.use(link, {"password": OTHER}) == (409, "role_raised")
    world.call("PATCH", world.path(world.mia), {"role": "member"}, token=world.olga)
    assert world.call("GET", world.path(world.mia), token=world.olga).json["confirmed"] is True
    assert world.use(link, {"password": OTHER}) == (201, None)
    assert world.call("GET", world.path(world.mia), token=world.olga).json["confirmed"] is False


def test_a_disabled_or_removed_member_does_not_move(world: World) -> None:
    world.change(NEW)
    link, undo = world.service.link(NEW), world.undo_link()
    world.call("POST", world.path(world.mia) + "/disable", token=world.olga)
    assert world.use(link, {"password": OTHER}) == (410, "link_spent")
    assert world.call("DELETE", world.path(world.mia), token=world.olga).status_code == 204
    assert world.use(undo) == (410, "link_spent"), "the member has left"


@pytest.mark.parametrize("proved", [False, True], ids=["pending", "proved"])
def test_undoing_is_reported_to_who_made_the_change_and_to_the_owner(
    world: World, proved: bool
) -> None:
    world.change(NEW, token=world.staff)
    link, undo = world.service.link(NEW), world.undo_link()
    if proved:
        assert world.use(link, {"password": OTHER}) == (201, None)

    assert world.use(undo) == (201, None)

    assert world.show() == JOINED and world.logs_in(MIA, organization_id=world.first)
    assert world.use(link, {"password": OTHER}) == (410, "link_spent")
    assert sorted(to for to, _ in world.reports()) == ["admin@example.com", OLGA]
    assert all(MIA in text and "Mia Smith" in text for _, text in world.reports())


def test_the_maker_of_a_change_who_has_left_is_not_mailed(world: World) -> None:
    admin = {"name": "Ann", "portal_access": True, "role": "admin", "email": "ann@customer.example"}
    ann_id = world.call("POST", world.path(), admin, token=world.olga).json["id"]
    world.service.accept("ann@customer.example")
    ann = world.service.log_in("ann@customer.example")["access_token"]
    assert world.change(NEW, token=ann).status_code == 200
    undo = world.undo_link()
    assert world.call("DELETE", world.path(ann_id), token=world.olga).status_code == 204
    assert world.use(undo) == (201, None)
    assert [to for to, _ in world.reports()] == [OLGA]


# --- one's own address


def own(world: World, body: dict[str, Any], token: str) -> tuple[int, str | None]:
    answer = world.call("PATCH", "/v1/me", body, token=token)
    return answer.status_code, answer.json.get("code")


def test_ones_own_address_moves_in_all_organizations_once_it_is_proved(world: World) -> None:
    session = world.service.log_in(MIA, organization_id=world.first)["access_token"]

    changed = world.call("PATCH", "/v1/me", {"email": NEW}, token=session)

    assert (changed.json["identity"]["email"], changed.json["identity"]["pending_email"]) == (
        MIA,
        NEW,
    )
    assert world.show() == JOINED | {"pending_email": NEW} and world.logs_in(MIA)
    link = world.service.link(NEW)
    seen = world.call("GET", f"/v1/verifications/{link}").json
    assert (seen["organization"], seen["password_required"]) == (None, False)
    assert world.use(link, {"password": OTHER}) == (422, "password_not_expected")
    assert world.use(link) == (201, None)
    assert world.show() == JOINED | {"email": NEW}
    elsewhere = world.call(
        "GET", world.path(world.mia_elsewhere, world.second), token=world.sam
    ).json
    assert elsewhere["email"] == NEW and world.logs_in(NEW) and not world.logs_in(MIA)
    assert not world.service.is_revoked(session)

    assert world.use(world.undo_link()) == (201, None)

    assert world.logs_in(MIA) and not world.logs_in(NEW) and world.service.is_revoked(session)
    assert sorted(to for to, _ in world.reports()) == [MIA, MIA, OLGA, "sam@second.example"]


def test_an_own_pending_address_is_not_shown_before_the_person_has_joined(world: World) -> None:
    olga = world.invite(OLGA, world.second, world.sam)
    invitation = world.service.link(OLGA)
    assert own(world, {"email": NEW}, world.olga) == (200, None)

    def pending() -> set[str | None]:
        path = world.path(organization_id=world.second)
        listed = world.call("GET", path, token=world.sam).json["data"]
        shown = world.call("GET", f"{path}/{olga}", token=world.sam).json
        return {shown["pending_email"], *(m["pending_email"] for m in listed if m["id"] == olga)}

    assert pending() == {None}
    assert world.use(invitation) == (201, None)
    assert pending() == {NEW}


def test_ones_own_address_needs_the_password_or_a_recent_sign_in(world: World) -> None:
    world.service.clock.stop()
    token = world.service.log_in(MIA, organization_id=world.first)["access_token"]
    owner = world.service.log_in(OLGA)["access_token"]
    owner_id = world.service.claims(owner)["mid"]
    world.service.clock.advance(minutes=4, seconds=59)
    assert own(world, {"email": NEW, "given_name": "M"}, token) == (200, None)
    token = world.service.log_in(MIA, organization_id=world.first)["access_token"]
    owner = world.service.log_in(OLGA)["access_token"]
    with world.service.database.transaction() as session:
        for login in session.scalars(select(models.LoginSession)):
            login.authenticated_at = login.authenticated_at.replace(year=2020)

    assert own(world, {"email": "x@new.example"}, token) == (403, "step_up_required")
    wrong = {"email": "x@new.example", "password": OTHER, "given_name": "Wrong"}
    assert own(world, wrong, token) == (401, "invalid_credentials")
    me = world.call("GET", "/v1/me", token=token).json["identity"]
    assert (me["pending_email"], me["given_name"]) == (NEW, "M")
    assert own(world, wrong | {"password": PASSWORD}, token) == (200, None)
    mine = world.change("o@new.example", owner_id, owner)
    assert (mine.status_code, mine.json["code"]) == (403, "step_up_required")
    assert own(world, {"family_name": "Jones"}, token) == (200, None), "a name needs none"


def test_ones_own_address_in_an_organization_is_the_same_change(world: World) -> None:
    owner_id = world.service.claims(world.olga)["mid"]
    changed = world.change("o@new.example", owner_id)
    assert (changed.json["email"], changed.json["pending_email"]) == (OLGA, "o@new.example")
    me = world.call("GET", "/v1/me", token=world.olga).json["identity"]
    assert me["pending_email"] == "o@new.example"
    undo = world.undo_link(OLGA)
    assert own(world, {"email": OLGA}, world.olga) == (200, None)
    assert world.use(undo) == (410, "link_spent")


def test_nobody_acts_on_the_profile_of_another(world: World) -> None:
    acting = world.call(
        "POST", world.path(world.mia) + "/login-as", {"reason": "T-1"}, token=world.staff
    ).json["access_token"]
    assert own(world, {"email": NEW}, acting)[0] == 403
    assert own(world, {"given_name": "X"}, acting)[0] == 403


def test_an_address_that_somebody_has_is_refused_at_the_link_only(world: World) -> None:
    token = world.service.log_in(MIA)["access_token"]
    assert own(world, {"email": "sam@second.example"}, token) == (200, None)
    link = world.service.link("sam@second.example")
    assert world.use(link) == (409, "member_exists")
    assert world.logs_in(MIA) and world.logs_in("sam@second.example")


def test_invitations_to_the_new_address_are_for_who_proves_it(world: World) -> None:
    world.service.customer(NEW, name="Third", provider_id=world.provider_id)
    invitation = world.service.link(NEW)
    token = world.service.log_in(MIA)["access_token"]
    own(world, {"email": NEW}, token)
    assert world.use(world.service.link(NEW)) == (201, None)
    assert world.use(invitation) == (201, None)
    mine = world.call("GET", "/v1/me/organizations", token=token).json["own"]
    assert [o["name"] for o in mine] == ["Acme Ltd", "Acme Ltd", "Third"]


def test_a_thief_cannot_keep_the_login_by_inviting_the_old_address(world: World) -> None:
    token = world.service.log_in(MIA, organization_id=world.first)["access_token"]
    for address in ("thief@evil.example", "thief2@evil.example"):
        assert own(world, {"email": address}, token) == (200, None)
        assert world.use(world.service.link(address)) == (201, None)
    undo = world.undo_link()
    thiefs = world.undo_link("thief@evil.example")
    world.service.customer(MIA, name="Evil", provider_id=world.provider_id)

    assert world.use(undo) == (201, None)

    assert world.use(thiefs) == (410, "link_spent")
    assert world.logs_in(MIA, organization_id=world.second)
    assert not world.logs_in("thief2@evil.example")


def test_the_undo_link_of_an_erased_person_is_gone(world: World) -> None:
    token = world.service.log_in(MIA)["access_token"]
    own(world, {"email": NEW}, token)
    link, undo = world.service.link(NEW), world.undo_link()
    for member_id, organization_id, by in (
        (world.mia, world.first, world.olga),
        (world.mia_elsewhere, world.second, world.sam),
    ):
        path = world.path(member_id, organization_id)
        assert world.call("DELETE", path, token=by).status_code == 204
    assert [world.use(one) for one in (link, undo)] == [(410, "link_spent")] * 2
    with world.service.database.reading() as session:
        assert set(session.scalars(select(models.Identity.pending_email))) == {None}
        assert set(session.scalars(select(models.Mail.identity_id))) == {None}


def test_ones_own_address_is_changed_six_times_a_day_at_most(world: World) -> None:
    token = world.service.log_in(MIA)["access_token"]
    answers = [own(world, {"email": f"m{n}@new.example"}, token) for n in range(7)]
    assert answers == [(200, None)] * 6 + [(429, "too_many_requests")]
