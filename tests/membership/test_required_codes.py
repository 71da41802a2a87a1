"""One-time codes that a customer's owner requires of its people."""

import json
from pathlib import Path
from typing import Any

import pytest
from chassis.db import migrations
from chassis.db.unit_of_work import write_collected
from chassis.messaging import outbox
from chassis.runtime import ids
from contracts import org
from membership import models
from membership.app import SERVICE
from sqlalchemy import create_engine, select, text

from tests.membership.conftest import MembershipService
from tests.membership.support_setup import SupportSetup, support_setup
from tests.membership.test_security import OLGA, log_in, switch_on

MIA = "mia@customer.example"


def changed(organization_id: str, **fields: Any) -> org.OrganizationChanged:
    known = {"name": "Acme Ltd", "billing": {}, "buyer_tags": {}, "managed_by": "provider"}
    return org.OrganizationChanged(
        organization_id=organization_id, provider_id=organization_id, **(known | fields)
    )


def require(service: MembershipService, organization_id: str, required: bool = True) -> None:
    service.receive(changed(organization_id, mfa_required=required))


def join(service: MembershipService, organization_id: str, owner: str, address: str = MIA) -> str:
    """Add a member who joins; returns their access token."""
    invite(service, organization_id, owner, address)
    service.accept(address)
    token: str = service.log_in(address, organization_id=organization_id)["access_token"]
    return token


def invite(service: MembershipService, organization_id: str, owner: str, address: str) -> None:
    body = {"name": "Mia New", "email": address, "role": "member", "portal_access": True}
    path = f"/v1/organizations/{organization_id}/members"
    assert service.call("POST", path, body, token=owner).status_code == 201


def is_limited(service: MembershipService, token: str) -> bool:
    """Whether the token is good for nothing but the caller's own login."""
    organization_id = service.claims(token)["org"]
    answer = service.call("GET", f"/v1/organizations/{organization_id}/members", token=token)
    assert (answer.status_code, answer.json.get("code")) in ((200, None), (403, "mfa_required"))
    assert service.call("GET", "/v1/me", token=token).status_code == 200
    return answer.status_code == 403


def exchange(service: MembershipService, token: str, organization_id: str) -> str:
    body = {"organization_id": organization_id}
    answer = service.call("POST", "/v1/sessions/exchange", body, token=token)
    assert answer.status_code == 201, answer.text
    return str(answer.json["access_token"])


def test_members_without_codes_may_only_turn_them_on(service: MembershipService) -> None:
    acme, olga = service.owner()
    _, sam = service.owner("sam@second.example", name="Second")
    mia = join(service, acme, olga)
    refresh = {"refresh_token": service.log_in(MIA)["refresh_token"]}

    require(service, acme)

    assert service.is_revoked(mia) and service.is_revoked(olga) and not service.is_revoked(sam)
    assert not is_limited(service, service.log_in("sam@second.example")["access_token"])
    renewed = service.call("POST", "/v1/sessions/refresh", refresh).json["access_token"]
    login = service.log_in(MIA)
    assert is_limited(service, renewed) and is_limited(service, login["access_token"])
    refused = service.call(
        "GET", f"/v1/organizations/{acme}/members", token=login["access_token"]
    ).json
    assert "Your organization requires one-time codes" in refused["detail"]
    phone, _ = switch_on(service, login["access_token"])
    fresh = {"refresh_token": login["refresh_token"]}
    renewed = service.call("POST", "/v1/sessions/refresh", fresh).json["access_token"]
    assert not is_limited(service, renewed)
    assert log_in(service, address=MIA).json["code"] == "otp_required"
    assert not is_limited(service, log_in(service, phone.next(), address=MIA).json["access_token"])


def test_members_with_codes_notice_nothing(service: MembershipService) -> None:
    acme, olga = service.owner()
    phone, _ = switch_on(service, olga)
    by_code = log_in(service, phone.next()).json["access_token"]

    require(service, acme)
    require(service, acme)

    assert not service.is_revoked(olga) and not service.is_revoked(by_code)
    refused = service.call("DELETE", "/v1/me/totp", token=by_code)
    assert (refused.status_code, refused.json["code"]) == (409, "mfa_required")
    assert "provider" not in refused.json["detail"]


def test_codes_that_are_no_longer_required_can_be_turned_off(service: MembershipService) -> None:
    acme, olga = service.owner()
    mia = join(service, acme, olga)
    require(service, acme)
    phone, _ = switch_on(service, service.log_in(OLGA)["access_token"])
    by_code = log_in(service, phone.next()).json["access_token"]

    require(service, acme, required=False)

    assert service.is_revoked(mia), "of tokens from before"
    assert not is_limited(service, service.log_in(MIA)["access_token"])
    assert service.call("DELETE", "/v1/me/totp", token=by_code).status_code == 204


def test_who_belongs_to_two_customers_needs_codes_only_where_they_are_required(
    service: MembershipService,
) -> None:
    acme, _ = service.owner()
    second = service.customer(OLGA, name="Second")
    service.accept(OLGA)
    require(service, second)

    token = service.log_in(OLGA, organization_id=acme)["access_token"]
    there = exchange(service, token, second)

    assert not is_limited(service, token) and is_limited(service, there)
    assert not is_limited(service, exchange(service, there, acme))
    phone, _ = switch_on(service, token)
    assert service.is_revoked(there) and not is_limited(service, exchange(service, token, second))
    assert service.call("DELETE", "/v1/me/totp", token=token).json["code"] == "mfa_required"
    by_code = service.log_in(OLGA, otp=phone.next(), organization_id=acme)["access_token"]
    require(service, second, required=False)
    assert service.call("DELETE", "/v1/me/totp", token=by_code).status_code == 204


def test_a_person_without_codes_can_leave_instead(service: MembershipService) -> None:
    acme, _ = service.owner()
    second, sam = service.owner("sam@second.example", name="Second")
    join(service, second, sam, OLGA)
    require(service, second)
    limited = service.log_in(OLGA, organization_id=second)["access_token"]

    left = service.call("DELETE", f"/v1/me/memberships/{second}", token=limited)

    assert left.status_code == 204, left.text
    token = service.log_in(OLGA, organization_id=acme)["access_token"]
    switch_on(service, token)
    assert service.call("DELETE", "/v1/me/totp", token=token).status_code == 204


def test_an_invitation_keeps_nobodys_codes_on(service: MembershipService) -> None:
    service.owner()
    second, sam = service.owner("sam@second.example", name="Second")
    invite(service, second, sam, OLGA)
    require(service, second)
    token = service.log_in(OLGA)["access_token"]
    switch_on(service, token)

    assert service.call("DELETE", "/v1/me/totp", token=token).status_code == 204


def test_api_keys_go_on_working(service: MembershipService) -> None:
    acme, olga = service.owner()
    body = {"name": "Till", "scopes": ["members:read"]}
    key = service.call("POST", "/v1/api-keys", body, token=olga).json["api_key"]
    before = service.call("POST", "/v1/sessions", {"api_key": key}).json["access_token"]

    require(service, acme)

    after = service.call("POST", "/v1/sessions", {"api_key": key}).json["access_token"]
    assert not service.is_revoked(before)
    members = f"/v1/organizations/{acme}/members"
    for token in (before, after):
        assert service.call("GET", members, token=token).status_code == 200


@pytest.fixture
def support(service: MembershipService) -> SupportSetup:
    return support_setup(service)


def test_staff_are_bound_by_their_provider_alone(support: SupportSetup) -> None:
    service, acme = support.service, support.organization_id
    member = service.claims(support.owner)["mid"]
    acting = support.login_as(member).json["access_token"]

    require(service, acme)

    members = f"/v1/organizations/{acme}/members"
    assert not service.is_revoked(acting) and not service.is_revoked(support.staff)
    assert service.call("GET", members, token=acting).status_code == 200
    assert support.enter(support.request().json["id"], token=support.other).status_code == 201
    support.settings(version=2, managed_service=True, mfa_required=True)
    assert service.is_revoked(acting) and service.is_revoked(support.staff)
    require(service, acme, required=False)
    assert support.login_as(member, token=support.fresh()).json["code"] == "mfa_required"


# --- messages


def raw(service: MembershipService, message: Any) -> bytes:
    """A message as it is sent, not delivered yet."""
    with service.database.transaction() as session:
        outbox.publish(session, message)
        write_collected(session)
        newest = select(outbox.OutboxRow).order_by(outbox.OutboxRow.seq.desc()).limit(1)
        row = session.scalars(newest).one()
        body = row.body
        session.delete(row)
    return body


def requires_codes(service: MembershipService, organization_id: str) -> bool:
    with service.database.reading() as session:
        return session.get_one(models.Organization, organization_id).mfa_required


def test_a_late_message_takes_nothing_back(service: MembershipService) -> None:
    acme, olga = service.owner()
    late = raw(service, changed(acme, mfa_required=False))
    require(service, acme)

    for _ in range(2):
        service.inbox.receive(late, published_by="org")

    assert requires_codes(service, acme) and service.is_revoked(olga)
    assert "stale" in service.inbox.dead_letters()[0]


def test_the_next_change_makes_up_for_a_lost_message(service: MembershipService) -> None:
    acme, olga = service.owner()
    raw(service, changed(acme, mfa_required=True))

    service.receive(changed(acme, mfa_required=True, name="Acme Holding"))

    assert requires_codes(service, acme) and service.is_revoked(olga)


def test_a_message_from_before_the_upgrade_changes_nothing(service: MembershipService) -> None:
    acme, _ = service.owner()
    require(service, acme)
    older = json.loads(raw(service, changed(acme, name="Acme Holding")))
    del older["data"]["mfa_required"]

    service.inbox.receive(json.dumps(older).encode(), published_by="org")

    assert requires_codes(service, acme) and service.inbox.dead_letters() == []


def test_existing_providers_keep_what_they_require(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    migrations.upgrade(SERVICE.migrations, url, "0018")
    engine = create_engine(url)
    rows = {name: ids.new_uuid().hex for name in ("strict", "lax", "new", "customer")}
    with engine.begin() as connection:
        for name, one in rows.items():
            kind = "customer" if name == "customer" else "provider"
            values = {"id": one, "kind": kind, "name": name}
            connection.execute(
                text(
                    "INSERT INTO organizations VALUES (:id, :id, :kind, :name, 'open', 'provider', "
                    "'2026-01-01 00:00:00.000000')"
                ),
                values,
            )
        for name, required in (("strict", "true"), ("lax", "false")):
            settings = f'{{"mfa_required": {required}}}'
            connection.execute(
                text("INSERT INTO provider_settings VALUES (:id, 1, :settings)"),
                {"id": rows[name], "settings": settings},
            )

    migrations.upgrade(SERVICE.migrations, url)

    with engine.connect() as connection:
        kept = connection.execute(text("SELECT name, mfa_required FROM organizations"))
        assert {name: required for name, required in kept} == {
            "strict": 1,
            "lax": 0,
            "new": 0,
            "customer": 0,
        }
    engine.dispose()
