"""Members who are disabled, enabled, removed or get another role, also while an organization is
suspended, set up or deleted."""

from contracts import membership as messages
from contracts import org
from membership import models
from sqlalchemy import update

from tests.membership.members.conftest import PASSWORD


def test_disabling_ends_sessions_and_enabling_revives_none(setup):
    service = setup.service
    member_id, token = setup.joined("mia@customer.example")
    disabled = setup.call("POST", f"/{member_id}/disable")
    assert disabled.status_code == 200 and disabled.json["status"] == "disabled"
    assert service.is_revoked(token) and not service.is_revoked(setup.owner)
    refused = service.call(
        "POST", "/v1/sessions", {"email": "mia@customer.example", "password": PASSWORD}
    )
    assert refused.status_code == 403 and refused.json["code"] == "member_disabled"
    assert setup.call("POST", f"/{member_id}/disable").status_code == 200
    assert setup.call("POST", f"/{member_id}/enable").json["status"] == "active"
    assert service.is_revoked(token)
    assert not service.is_revoked(service.log_in("mia@customer.example")["access_token"])


def test_removing(setup):
    service = setup.service
    member_id, token = setup.joined("mia@customer.example")
    assert setup.call("DELETE", f"/{member_id}").status_code == 204
    assert service.is_revoked(token)
    assert setup.call("DELETE", f"/{member_id}").status_code == 404
    login = {"email": "mia@customer.example", "password": PASSWORD}
    assert service.call("POST", "/v1/sessions", login).status_code == 401
    assert service.published(messages.MembersChanged)[-1].members == 1
    setup.joined("mia@customer.example")


def test_a_new_role_makes_tokens_with_the_old_one_worthless(setup):
    service = setup.service
    member_id, token = setup.joined("adam@customer.example", "admin")
    refresh = service.log_in("adam@customer.example")["refresh_token"]
    assert setup.call("PATCH", f"/{member_id}", {"role": "member"}).json["role"] == "member"
    assert service.is_revoked(token)
    renewed = service.call("POST", "/v1/sessions/refresh", {"refresh_token": refresh})
    assert renewed.json["role"] == "member" and not service.is_revoked(renewed.json["access_token"])


def test_nobody_is_changed_while_the_organization_is_set_up_or_goes(setup):
    service = setup.service
    member_id = setup.add("mia@customer.example").json["id"]
    with service.database.transaction() as session:
        session.execute(
            update(models.Organization)
            .where(models.Organization.id == setup.organization_id)
            .values(state="provisioning")
        )
    assert (
        setup.add("x@customer.example", token=setup.staff).json["code"]
        == "organization_provisioning"
    )
    service.receive(org.EndAccess(organization_id=setup.organization_id, deletion_id="d"))
    for method, rest, body in (
        ("PATCH", "", {"name": "X"}),
        ("POST", "/disable", None),
        ("DELETE", "", None),
    ):
        answer = setup.call(method, f"/{member_id}{rest}", body, token=setup.staff)
        assert (answer.status_code, answer.json["code"]) == (409, "organization_closing")
    assert setup.call("GET", "", token=setup.staff).status_code == 200
    service.receive(org.EraseMembers(organization_id=setup.organization_id, deletion_id="d"))
    assert setup.call("GET", "", token=setup.staff).json["data"] == []
    assert setup.add("x@customer.example", token=setup.staff).status_code == 410


def test_suspended_members_can_be_changed_but_mails_wait(setup):
    service = setup.service
    service.send_mails()
    service.receive(
        org.OrganizationSuspended(
            organization_id=setup.organization_id, provider_id=setup.provider_id
        )
    )
    assert setup.add("mia@customer.example", token=setup.staff).status_code == 201
    sent = len(service.send_mails())
    service.receive(
        org.RestoreAccess(
            organization_id=setup.organization_id, conversation_id="c", suspended=False
        )
    )
    assert len(service.send_mails()) == sent + 1
    service.accept("mia@customer.example")
