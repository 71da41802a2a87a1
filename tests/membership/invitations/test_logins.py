"""Who may change a member's login, and how it is taken away."""

from concurrent.futures import ThreadPoolExecutor

from chassis.runtime import ids

from tests.membership.invitations.conftest import MIA, NEW, OTHER


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


def test_two_concurrent_removals_of_a_login_create_one_pin(setup):
    member_id = setup.joined()

    def take(_):
        with setup.service.app.test_client() as client:
            return client.patch(
                f"/v1/organizations/{setup.organization_id}/members/{member_id}",
                json={"portal_access": False},
                headers={"Authorization": f"Bearer {setup.owner}"},
            )

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(take, range(2)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum("pin" in answer.json for answer in answers) == 1
