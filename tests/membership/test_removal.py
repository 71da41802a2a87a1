"""A removed person who belongs nowhere else is erased, and the address is free."""

from membership import jobs, models
from sqlalchemy import func, select, update

from tests.membership.support_setup import support_setup

MIA = "mia@customer.example"
PASSWORD = "four calm otters drift"


def joined(service, organization_id, staff, name="Mia"):
    body = {"name": name, "portal_access": True, "role": "member", "email": MIA}
    path = f"/v1/organizations/{organization_id}/members"
    added = service.call("POST", path, body, token=staff)
    assert added.status_code == 201, added.text
    service.accept(MIA)
    return f"{path}/{added.json['id']}"


def stored(service, column):
    with service.database.reading() as session:
        return list(session.scalars(select(column)))


def test_who_belongs_nowhere_else_is_erased_at_once(service):
    staff = service.provider()
    provider_id = service.claims(staff)["org"]
    organization_id, owner = service.owner(provider_id=provider_id)
    path = joined(service, organization_id, owner)
    session = service.log_in(MIA)
    service.call("POST", "/v1/password-resets", {"email": MIA})
    reset = service.link(MIA)

    member_id = path.rpartition("/")[2]
    service.call("POST", "/v1/password-resets", {"email": MIA})
    assert member_id in stored(service, models.Mail.member_id)

    assert service.call("DELETE", path, token=owner).status_code == 204

    assert member_id not in stored(service, models.Mail.member_id)
    assert MIA not in stored(service, models.Identity.email)
    assert MIA not in stored(service, models.Member.email)
    assert "Mia" not in stored(service, models.Member.name)
    assert service.is_revoked(session["access_token"])
    body = {"password": PASSWORD}
    assert service.call("POST", f"/v1/password-resets/{reset}", body).status_code == 410
    again = joined(service, organization_id, owner, name="Miranda")
    assert service.call("GET", again, token=owner).json["name"] == "Miranda"


def test_who_is_a_member_elsewhere_keeps_the_login(service):
    staff = service.provider()
    provider_id = service.claims(staff)["org"]
    organization_id, owner = service.owner(provider_id=provider_id)
    path = joined(service, organization_id, owner)
    second_id, sam = service.owner("sam@second.example", provider_id=provider_id, name="Second")
    second = joined(service, second_id, sam)
    assert service.call("POST", f"{second}/disable", token=sam).status_code == 200

    assert service.call("DELETE", path, token=owner).status_code == 204

    assert MIA in stored(service, models.Identity.email), "disabled there, but not gone"
    assert service.call("DELETE", second, token=sam).status_code == 204
    assert MIA not in stored(service, models.Identity.email)


def test_the_key_of_a_removed_person_does_not_name_them(service):
    staff = service.provider()
    provider_id = service.claims(staff)["org"]
    body = {"name": "Max", "portal_access": True, "role": "admin", "email": MIA}
    path = f"/v1/organizations/{provider_id}/members"
    member_id = service.call("POST", path, body, token=staff).json["id"]
    service.accept(MIA)
    token = service.log_in(MIA)["access_token"]
    key = {"name": "Sync", "scopes": ["cust:read"]}
    assert service.call("POST", "/v1/api-keys", key, token=token).status_code == 201

    assert service.call("DELETE", f"{path}/{member_id}", token=staff).status_code == 204

    [shown] = service.call("GET", "/v1/api-keys", token=staff).json["data"]
    assert shown["created_by"]["name"] == "Removed person"
    assert (shown["status"], shown["suspended_because"]) == ("suspended", "maker_left")


def test_support_access_does_not_name_removed_people(service):
    support = support_setup(service, managed_by="customer")
    otto_id, otto = support.member("otto@provider.example", role="admin", at=support.provider_id)
    anna_id, anna = support.member("anna@customer.example", role="admin")
    approved = support.request(token=otto).json["id"]
    path = f"{support.grants_path}/{approved}"
    assert support.call("POST", f"{path}/approve", {}, token=anna).status_code == 200
    assert support.enter(approved, token=otto).status_code == 201
    refused = support.request().json["id"]
    assert support.call("DELETE", f"{support.grants_path}/{refused}", token=anna).status_code == 204

    for organization_id, member_id, token in (
        (support.organization_id, anna_id, support.owner),
        (support.provider_id, otto_id, support.boss),
    ):
        path = f"/v1/organizations/{organization_id}/members/{member_id}"
        assert support.call("DELETE", path, token=token).status_code == 204

    shown = support.call("GET", support.grants_path, token=support.staff).json["data"]
    assert [(one["requested_by"]["name"], one["decided_by"]["name"]) for one in shown] == [
        ("Staff.svensson Newcomer", "Removed person"),
        ("Removed person", "Removed person"),
    ]
    assert stored(service, models.ActingSession.staff_name) == ["Removed person"]

    with service.database.transaction() as session:  # as before, and what migration 0021 does
        session.execute(update(models.SupportGrant).values(decided_by_name="Anna"))
        anna = models.Member.id == anna_id
        session.execute(update(models.Member).where(anna).values(status="removed"))
    while jobs.delete_expired(service.database, service.clock.now(), None):
        pass
    assert stored(service, models.SupportGrant.decided_by_name) == ["Removed person"] * 2


def test_who_was_removed_before_is_erased_by_a_job(service):
    organization_id, owner = service.owner()
    path = joined(service, organization_id, owner)
    with service.database.transaction() as session:
        session.execute(
            update(models.Member).where(models.Member.email == MIA).values(status="removed")
        )

    while jobs.delete_expired(service.database, service.clock.now(), None):
        pass

    assert service.call("GET", path, token=owner).status_code == 404
    assert MIA not in stored(service, models.Identity.email)
    with service.database.reading() as session:
        left = select(func.count()).where(models.Member.status == "removed")
        assert session.scalar(left) == 0
