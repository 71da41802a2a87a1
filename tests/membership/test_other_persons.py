"""What is shown of a member tells nothing about another person, nor about their life elsewhere."""

import pytest
from chassis.runtime import ids
from membership.models import Identity, Member
from sqlalchemy import select

MIA, NEW, OTHER = "mia@customer.example", "new@customer.example", "seven quiet herons wait"


class Setup:
    """A customer with a member who has signed in."""

    def __init__(self, service):
        self.service = service
        self.organization_id, self.owner = service.owner()
        body = {"name": "Mia", "portal_access": True, "role": "member", "email": MIA}
        self.member_id = self.call("POST", "", body).json["id"]
        service.accept(MIA)
        service.log_in(MIA)

    def call(self, method, rest="", body=None, **more):
        path = f"/v1/organizations/{self.organization_id}/members{rest}"
        return self.service.call(method, path, body, token=self.owner, **more)

    def change(self, headers=None, **fields):
        return self.call("PATCH", f"/{self.member_id}", fields, headers=headers or {})

    def row(self):
        with self.service.database.reading() as session:
            return session.get_one(Member, self.member_id)


@pytest.fixture
def setup(service):
    return service.prepared("other persons", lambda: Setup(service))


def test_the_id_of_an_identity_is_random(setup):
    setup.service.provider()
    setup.change(email=NEW)
    setup.service.accept(NEW, OTHER)
    with setup.service.database.reading() as session:
        identity_ids = session.scalars(select(Identity.id)).all()

    assert len(identity_ids) == 4, "two owners, and the two that the member was given to"
    assert {ids.to_uuid("idn", identity_id).version for identity_id in identity_ids} == {4}
    assert all(ids.is_id("idn", identity_id) for identity_id in identity_ids)


def test_the_last_sign_in_is_that_of_the_person_who_has_the_membership(setup):
    assert setup.row().last_signed_in_at is not None
    setup.change(email=NEW)
    assert setup.row().last_signed_in_at is not None, "not proved yet"
    setup.service.accept(NEW, OTHER)
    assert setup.row().last_signed_in_at is None

    setup.service.log_in(NEW, OTHER)
    assert setup.row().last_signed_in_at is not None


def test_a_login_given_to_somebody_else_begins_without_a_last_sign_in(setup):
    setup.change(portal_access=False)
    setup.change(portal_access=True, role="member", email=NEW)
    assert setup.row().last_signed_in_at is None


def test_no_last_sign_in_is_kept_of_a_removed_person(setup):
    setup.call("DELETE", f"/{setup.member_id}")
    row = setup.row()
    assert (row.status, row.last_signed_in_at) == ("erased", None)


def test_a_pending_address_is_part_of_the_members_etag(setup):
    tag = setup.call("GET", f"/{setup.member_id}").headers["ETag"]
    changed = setup.change(email=NEW)
    assert changed.headers["ETag"] != tag
    assert setup.call("GET", f"/{setup.member_id}").headers["ETag"] == changed.headers["ETag"]
    late = setup.change({"If-Match": tag}, email="third@customer.example")
    assert late.status_code == 412

    setup.service.accept(NEW, OTHER)
    proved = setup.call("GET", f"/{setup.member_id}").headers["ETag"]
    assert proved not in (tag, changed.headers["ETag"])


def test_a_refused_refresh_says_why_the_session_has_ended(setup):
    def refresh(login):
        body = {"refresh_token": login["refresh_token"]}
        answer = setup.service.call("POST", "/v1/sessions/refresh", body)
        return answer.status_code, answer.json.get("ended_because")

    first, second = (setup.service.log_in(MIA) for _ in range(2))
    setup.service.call("DELETE", "/v1/sessions/current", token=first["access_token"])
    assert refresh(first) == (401, "signed_out")
    setup.service.clock.advance(hours=2)
    assert refresh(second) == (401, "expired")
    setup.owner = setup.service.log_in("olga@customer.example")["access_token"]
    third = setup.service.log_in(MIA)
    setup.call("POST", f"/{setup.member_id}/disable")
    assert refresh(third) == (401, "member_disabled")
    assert refresh({"refresh_token": "x" * 43}) == (401, None)
