"""Links in emails: what they show, what they do, and how often."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from chassis.db.columns import Base
from contracts import org
from membership import jobs, models
from sqlalchemy import LargeBinary, String, select

OLGA = "olga@customer.example"
NEW = "seven quiet herons wait"
PASSWORD = "four calm otters drift"


def _verify(service, token, body=None):
    return service.call(
        "POST", f"/v1/verifications/{token}", {"password": PASSWORD} if body is None else body
    )


def test_reading_a_link_does_not_use_it(service):
    organization_id = service.customer()
    token = service.link(OLGA)
    for _ in range(3):
        shown = service.call("GET", f"/v1/verifications/{token}")
        assert shown.status_code == 200
        assert shown.json["email"] == OLGA and shown.json["purpose"] == "invitation"
        assert shown.json["organization"] == {"id": organization_id, "name": "Acme Ltd"}
        assert shown.json["password_required"] is True
    assert _verify(service, token).json["verified"] is True


def test_a_link_works_once(service):
    service.customer()
    token = service.link(OLGA)
    assert _verify(service, token).status_code == 201
    assert _verify(service, token).status_code == 410
    assert service.call("GET", f"/v1/verifications/{token}").status_code == 410


def test_of_two_concurrent_uses_of_a_link_one_works(service):
    service.customer()
    token = service.link(OLGA)

    def use(_):
        with service.app.test_client() as client:
            return client.post(
                f"/v1/verifications/{token}", json={"password": PASSWORD}
            ).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(use, range(4))) == [201, 410, 410, 410]


def test_a_link_is_valid_for_seven_days(service):
    service.customer()
    token = service.link(OLGA)
    service.clock.advance(days=7, seconds=-60)
    assert service.call("GET", f"/v1/verifications/{token}").status_code == 200
    service.clock.advance(seconds=61)
    gone = _verify(service, token)
    assert gone.status_code == 410 and gone.json["code"] == "link_spent"


def test_sending_again_invalidates_the_previous_link(service):
    staff = service.provider()
    organization_id = service.customer(provider_id=service.claims(staff)["org"])
    first = service.link(OLGA)
    member = service.call("GET", f"/v1/organizations/{organization_id}/members", token=staff).json[
        "data"
    ][0]
    path = f"/v1/organizations/{organization_id}/members/{member['id']}/resend-verification"
    service.clock.advance(seconds=61)
    assert service.call("POST", path, token=staff).status_code == 200
    assert service.call("GET", f"/v1/verifications/{first}").status_code == 410
    second = service.link(OLGA)
    assert second != first and _verify(service, second).status_code == 201
    assert service.call("POST", path, token=staff).json["code"] == "nothing_to_verify"


def test_an_unknown_link(service):
    for token in ("x", "a" * 43, "%00", "..%2f..", "' OR 1=1", "a" * 2000):
        assert service.call("GET", f"/v1/verifications/{token}").status_code == 404
        assert _verify(service, token).status_code == 404
        assert (
            service.call("POST", f"/v1/password-resets/{token}", {"password": PASSWORD}).status_code
            == 404
        )


def test_a_link_works_only_for_its_purpose(service):
    service.customer()
    token = service.link(OLGA)
    assert (
        service.call("POST", f"/v1/password-resets/{token}", {"password": PASSWORD}).status_code
        == 404
    )
    assert service.call("POST", "/v1/sessions/refresh", {"refresh_token": token}).status_code == 401
    _verify(service, token)
    service.call("POST", "/v1/password-resets", {"email": OLGA})
    assert _verify(service, service.link(OLGA)).status_code == 404


def test_a_refused_password_leaves_the_link_valid(service):
    service.customer()
    token = service.link(OLGA)
    for password, code in (
        ("short", "length"),
        ("x" * 129, "length"),
        ("password1234567", "breached"),
        ("my acme ltd login", "guessable"),
        ("olga-1234567890-x", "guessable"),
        (None, "required"),
    ):
        refused = _verify(service, token, {"password": password} if password else {})
        assert refused.status_code == 422
        assert [(e["pointer"], e["code"]) for e in refused.json["errors"]] == [("/password", code)]
    assert _verify(service, token).status_code == 201


def test_a_person_with_a_password_joins_with_it(service):
    service.owner()
    second_id = service.customer(OLGA, name="Second")
    assert "join with your existing password" in service.send_mails()[-1].get_content()
    token = service.link(OLGA)
    assert service.call("GET", f"/v1/verifications/{token}").json["password_required"] is False
    assert _verify(service, token, {}).status_code == 201
    assert service.log_in(OLGA, organization_id=second_id)["organization"]["id"] == second_id


def _password_is_still(service, password, address=OLGA):
    assert service.call("POST", "/v1/sessions", {"email": address, "password": password}).json[
        "access_token"
    ]


@pytest.mark.parametrize("password", [NEW, PASSWORD, "short"])
def test_a_link_never_replaces_a_password(service, password):
    service.owner()
    service.customer(OLGA, name="Second")
    token = service.link(OLGA)

    refused = _verify(service, token, {"password": password})

    assert refused.status_code == 422 and refused.json["code"] == "password_not_expected"
    assert [(e["pointer"], e["code"]) for e in refused.json["errors"]] == [
        ("/password", "password_not_expected")
    ]
    _password_is_still(service, PASSWORD)
    assert _verify(service, token, {}).status_code == 201


def test_of_two_invitations_of_a_new_person_only_the_first_sets_the_password(service):
    service.customer()
    first = service.link(OLGA)
    service.customer(OLGA, name="Second")
    second = service.link(OLGA)
    assert service.call("GET", f"/v1/verifications/{second}").json["password_required"] is True

    assert _verify(service, first).status_code == 201
    refused = _verify(service, second, {"password": NEW})

    assert refused.status_code == 422 and refused.json["code"] == "password_not_expected"
    assert service.call("GET", f"/v1/verifications/{second}").json["password_required"] is False
    _password_is_still(service, PASSWORD)


def test_of_two_concurrent_first_passwords_one_is_set(service):
    service.customer()
    first = service.link(OLGA)
    service.customer(OLGA, name="Second")
    tokens = {first: PASSWORD, service.link(OLGA): NEW}

    def use(token):
        with service.app.test_client() as client:
            return client.post(
                f"/v1/verifications/{token}", json={"password": tokens[token]}
            ).status_code

    with ThreadPoolExecutor(2) as pool:
        used = dict(zip(tokens, pool.map(use, tokens), strict=True))

    assert sorted(used.values()) == [201, 422]
    _password_is_still(service, next(tokens[token] for token in used if used[token] == 201))


def test_a_link_to_a_changed_address_never_replaces_its_password(service):
    organization_id, owner = service.owner()
    service.owner("noa@second.example", name="Second")
    at = f"/v1/organizations/{organization_id}/members"
    owner_id = service.call("GET", at, token=owner).json["data"][0]["id"]
    service.call("PATCH", f"{at}/{owner_id}", {"email": "noa@second.example"}, token=owner)
    token = service.link("noa@second.example")
    shown = service.call("GET", f"/v1/verifications/{token}").json

    refused = _verify(service, token, {"password": NEW})

    assert (shown["purpose"], shown["password_required"]) == ("verification", False)
    assert refused.status_code == 422 and refused.json["code"] == "password_not_expected"
    _password_is_still(service, PASSWORD, "noa@second.example")


@pytest.mark.usefixtures("stopped_clock")
def test_joining_leaves_failed_sign_ins_counted(service):
    service.owner()
    service.customer(OLGA, name="Second")
    token = service.link(OLGA)
    for n in range(6):
        service.call("POST", "/v1/sessions", {"email": OLGA, "password": f"wrong {n}"})

    assert _verify(service, token, {}).status_code == 201

    throttled = service.call("POST", "/v1/sessions", {"email": OLGA, "password": "wrong again"})
    assert throttled.status_code == 429


def test_a_link_stays_valid_during_a_suspension(service):
    organization_id = service.customer()
    token = service.link(OLGA)
    service.receive(
        org.OrganizationSuspended(organization_id=organization_id, provider_id=organization_id)
    )
    refused = _verify(service, token)
    assert refused.status_code == 409 and refused.json["code"] == "organization_suspended"
    service.receive(
        org.RestoreAccess(organization_id=organization_id, conversation_id="c", suspended=False)
    )
    assert _verify(service, token).status_code == 201


def test_a_deletion_revokes_links(service):
    organization_id = service.customer()
    token = service.link(OLGA)
    service.receive(org.EndAccess(organization_id=organization_id, deletion_id="d"))
    assert _verify(service, token).status_code == 410
    service.receive(
        org.RestoreAccess(organization_id=organization_id, conversation_id="c", suspended=False)
    )
    assert _verify(service, token).status_code == 410


def test_a_reset_request_gets_the_same_response_for_every_address(service):
    service.owner()
    known = service.call("POST", "/v1/password-resets", {"email": OLGA})
    unknown = service.call("POST", "/v1/password-resets", {"email": "nobody@customer.example"})
    invalid = service.call("POST", "/v1/password-resets", {"email": "not an address"})
    assert known.status_code == unknown.status_code == invalid.status_code == 202
    assert known.json == unknown.json == invalid.json
    assert [m["To"] for m in service.send_mails()] == [OLGA, OLGA]


def test_a_new_password_ends_every_session_and_unlocks_the_address(service):
    _, token = service.owner()
    for n in range(6):
        service.call("POST", "/v1/sessions", {"email": OLGA, "password": f"wrong {n}"})
    service.call("POST", "/v1/password-resets", {"email": OLGA})
    link = service.link(OLGA)
    assert service.call("GET", f"/v1/password-resets/{link}").status_code == 200
    done = service.call("POST", f"/v1/password-resets/{link}", {"password": NEW})
    assert done.status_code == 201
    assert service.is_revoked(token)
    assert service.call("POST", f"/v1/password-resets/{link}", {"password": NEW}).status_code == 410
    assert (
        service.call("POST", "/v1/sessions", {"email": OLGA, "password": PASSWORD}).status_code
        == 401
    )
    service.log_in(OLGA, NEW)


def test_a_reset_link_is_valid_for_half_an_hour_and_only_the_newest_works(service):
    service.owner()
    service.call("POST", "/v1/password-resets", {"email": OLGA})
    first = service.link(OLGA)
    service.call("POST", "/v1/password-resets", {"email": OLGA})
    second = service.link(OLGA)
    assert service.call("GET", f"/v1/password-resets/{first}").status_code == 410
    service.clock.advance(minutes=31)
    assert (
        service.call("POST", f"/v1/password-resets/{second}", {"password": NEW}).status_code == 410
    )


def test_three_resets_an_hour(service):
    service.owner()
    for _ in range(5):
        assert service.call("POST", "/v1/password-resets", {"email": OLGA}).status_code == 202
    assert len(service.send_mails()) == 1 + 3


def _ask_for_reset(service, address, at, browser=""):
    headers = {"X-Forwarded-For": at, "X-Browser-Id": browser}
    answer = service.call("POST", "/v1/password-resets", {"email": address}, headers=headers)
    assert answer.status_code == 202


def test_anonymous_requests_use_up_neither_the_persons_resets_nor_those_of_staff(service):
    organization_id, token = service.owner()
    body = {"email": OLGA, "password": PASSWORD}
    home = {"X-Forwarded-For": "198.51.100.7", "X-Browser-Id": "k" * 43}
    service.call("POST", "/v1/sessions", body, headers=home)
    before = len(service.send_mails())
    for n in range(5):
        _ask_for_reset(service, OLGA, f"203.0.113.{n}")
    for n in range(12):
        _ask_for_reset(service, f"nobody{n}@customer.example", "198.51.100.7")
    assert len(service.send_mails()) == before + 3

    for _ in range(5):
        _ask_for_reset(service, OLGA, "198.51.100.7")
    assert len(service.send_mails()) == before + 6
    _ask_for_reset(service, OLGA, "203.0.113.1", "k" * 43)
    assert len(service.send_mails()) == before + 7
    members = f"/v1/organizations/{organization_id}/members"
    [owner] = service.call("GET", members, token=token).json["data"]
    path = f"{members}/{owner['id']}/reset-password"
    statuses = [service.call("POST", path, token=token).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    assert len(service.send_mails()) == before + 10
    service.clock.advance(hours=1)
    _ask_for_reset(service, OLGA, "203.0.113.1")
    assert len(service.send_mails()) == before + 11


def test_an_invited_person_who_asks_for_a_reset_gets_the_invitation_again(service):
    provider = service.provider()
    organization_id = service.customer(provider_id=service.claims(provider)["org"])
    first = service.link(OLGA)
    for _ in range(8):
        service.call("POST", "/v1/password-resets", {"email": OLGA})
    sent = service.send_mails()

    assert [mail["Subject"] for mail in sent] == ["You're invited to join Acme Ltd"] * 4
    assert _verify(service, first).status_code == 410
    service.clock.advance(minutes=2)
    members = f"/v1/organizations/{organization_id}/members"
    [owner] = service.call("GET", members, token=provider).json["data"]
    again = service.call("POST", f"{members}/{owner['id']}/resend-verification", token=provider)
    assert again.status_code == 200
    service.call("POST", "/v1/password-resets", {"email": OLGA})
    assert _verify(service, service.link(OLGA)).status_code == 201
    service.log_in(OLGA)


def test_whose_membership_has_ended_gets_neither(service):
    provider = service.provider()
    provider_id = service.claims(provider)["org"]
    organization_id = service.customer(provider_id=provider_id)
    service.receive(
        org.OrganizationSuspended(organization_id=organization_id, provider_id=provider_id)
    )
    before = len(service.send_mails())

    service.call("POST", "/v1/password-resets", {"email": OLGA})

    assert len(service.send_mails()) == before


def test_a_used_or_unused_link_to_a_corrected_address_is_gone(service):
    organization_id, token = service.owner()
    members = f"/v1/organizations/{organization_id}/members"
    body = {
        "given_name": "Mia",
        "family_name": "Muster",
        "email": "mai@customer.example",
        "portal_access": True,
        "role": "member",
    }
    mia = service.call("POST", members, body, token=token).json
    unused = service.link("mai@customer.example")
    service.call("PATCH", f"{members}/{mia['id']}", {"email": "mia@customer.example"}, token=token)
    assert _verify(service, unused).status_code == 410
    used = service.link("mia@customer.example")
    assert _verify(service, used).status_code == 201
    service.call(
        "PATCH", f"{members}/{mia['id']}", {"email": "mia.m@customer.example"}, token=token
    )
    accepted = service.call(
        "POST",
        f"/v1/verifications/{service.link('mia.m@customer.example')}",
        {"password": "nine loud geese march"},
    )
    assert accepted.status_code == 201
    service.clock.advance(days=8)
    jobs.delete_expired(service.database, service.clock.now(), service.settings)

    for spent in (used, unused):
        assert _verify(service, spent).status_code == 410
    with service.database.reading() as session:
        stored = str(session.execute(select(models.MailedToken.email)).all())
    assert "mai@" not in stored and "mia@" not in stored


def test_no_raw_token_password_or_pin_is_stored(service):
    organization_id, token = service.owner()
    refresh = service.log_in(OLGA)["refresh_token"]
    service.call("POST", "/v1/password-resets", {"email": OLGA})
    link = service.link(OLGA)
    pin = service.call(
        "POST",
        f"/v1/organizations/{organization_id}/members",
        {"name": "Desk", "portal_access": False},
        token=token,
        headers={"Idempotency-Key": "k"},
    ).json["pin"]
    secrets = [s.encode() for s in (refresh, link, PASSWORD, f'"{pin}"', token)]
    with service.database.reading() as session:
        for table in (*models.Base.metadata.sorted_tables, *Base.metadata.sorted_tables):
            columns = [c for c in table.columns if isinstance(c.type, String | LargeBinary)]
            for row in session.execute(select(*columns)) if columns else ():
                for value in row:
                    raw = value if isinstance(value, bytes) else str(value).encode()
                    assert not any(s in raw for s in secrets), table.name
