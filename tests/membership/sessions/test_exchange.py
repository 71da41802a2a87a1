"""A session is exchanged for one in another organization."""

from contracts import org

from tests.membership.sessions.attempts import OLGA


def test_an_exchange_begins_a_session_elsewhere_and_keeps_the_old_one(service):
    first_id, token = service.owner()
    second_id = service.customer(OLGA, name="Second")
    assert (
        service.call(
            "POST", "/v1/sessions/exchange", {"organization_id": second_id}, token=token
        ).status_code
        == 403
    )
    service.accept(OLGA)
    entered = service.call(
        "POST", "/v1/sessions/exchange", {"organization_id": second_id}, token=token
    )
    assert (
        entered.status_code == 201
        and service.claims(entered.json["access_token"])["org"] == second_id
    )
    assert not service.is_revoked(token)
    stranger_id = service.customer("sam@other.example")
    assert (
        service.call(
            "POST", "/v1/sessions/exchange", {"organization_id": stranger_id}, token=token
        ).status_code
        == 404
    )
    mine = service.call("GET", "/v1/me/organizations", token=token).json
    assert {o["id"] for o in mine["own"]} == {first_id, second_id} and mine["serviced"] == []
    assert service.log_in(OLGA)["organization"]["id"] == second_id
    assert service.log_in(OLGA, organization_id=first_id)["organization"]["id"] == first_id
    assert service.log_in(OLGA)["organization"]["id"] == first_id


def test_an_exchange_neither_prolongs_a_login_nor_adds_a_code_to_it(service):
    provider_id = service.claims(service.provider())["org"]
    admin = "admin@example.com"
    customer_id = service.customer(admin, provider_id=provider_id)
    service.accept(admin)

    def enter(organization_id, token):
        body = {"organization_id": organization_id}
        answer = service.call("POST", "/v1/sessions/exchange", body, token=token)
        listed = service.call("GET", "/v1/sessions", token=token).json["data"]
        entered = answer.json["access_token"]
        ends = {one["id"]: one["expires_at"] for one in listed}
        return service.claims(entered), [ends[service.claims(t)["sid"]] for t in (token, entered)]

    staff = service.log_in(admin, organization_id=provider_id)["access_token"]
    service.clock.advance(minutes=3)
    _, (ends, entered_ends) = enter(customer_id, staff)
    assert entered_ends == ends, "sooner than a login to the customer would end"
    service.receive(
        org.SettingsChanged(provider_id=provider_id, version=1, settings={"mfa_required": True})
    )
    without_code = service.log_in(admin, organization_id=customer_id)["access_token"]
    claims, _ = enter(provider_id, without_code)
    assert claims["missing"] == "mfa_required"
