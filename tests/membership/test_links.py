"""Mailed links: what they show, what they do, and how often."""

from concurrent.futures import ThreadPoolExecutor

from chassis.db.columns import Base
from contracts import org
from membership import models
from sqlalchemy import LargeBinary, String, select

OLGA = "olga@customer.example"
NEW = "seven quiet herons wait"
PASSWORD = "four calm otters drift"


def _verify(world, token, body=None):
    return world.call(
        "POST", f"/v1/verifications/{token}", {"password": PASSWORD} if body is None else body
    )


def test_looking_shows_and_uses_nothing(world):
    organization_id = world.customer()
    token = world.link(OLGA)
    for _ in range(3):
        shown = world.call("GET", f"/v1/verifications/{token}")
        assert shown.status_code == 200
        assert shown.json["email"] == OLGA and shown.json["purpose"] == "invitation"
        assert shown.json["organization"] == {"id": organization_id, "name": "Acme Ltd"}
        assert shown.json["password_required"] is True
    assert _verify(world, token).json["verified"] is True


def test_a_link_works_once(world):
    world.customer()
    token = world.link(OLGA)
    assert _verify(world, token).status_code == 201
    assert _verify(world, token).status_code == 410
    assert world.call("GET", f"/v1/verifications/{token}").status_code == 410


def test_a_link_used_by_two_at_once_works_for_one(world):
    world.customer()
    token = world.link(OLGA)

    def use(_):
        with world.app.test_client() as client:
            return client.post(
                f"/v1/verifications/{token}", json={"password": PASSWORD}
            ).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(use, range(4))) == [201, 410, 410, 410]


def test_a_link_is_good_for_seven_days(world):
    world.customer()
    token = world.link(OLGA)
    world.clock.pass_(days=7, seconds=-60)
    assert world.call("GET", f"/v1/verifications/{token}").status_code == 200
    world.clock.pass_(seconds=61)
    gone = _verify(world, token)
    assert gone.status_code == 410 and gone.json["code"] == "link_spent"


def test_sending_again_kills_the_link_before_at_once(world):
    staff = world.provider()
    organization_id = world.customer(provider_id=world.claims(staff)["org"])
    first = world.link(OLGA)
    member = world.call("GET", f"/v1/organizations/{organization_id}/members", token=staff).json[
        "data"
    ][0]
    path = f"/v1/organizations/{organization_id}/members/{member['id']}/resend-verification"
    world.clock.pass_(seconds=61)
    assert world.call("POST", path, token=staff).status_code == 200
    assert world.call("GET", f"/v1/verifications/{first}").status_code == 410
    second = world.link(OLGA)
    assert second != first and _verify(world, second).status_code == 201
    assert world.call("POST", path, token=staff).json["code"] == "nothing_to_verify"


def test_a_link_that_is_none_of_ours(world):
    for token in ("x", "a" * 43, "%00", "..%2f..", "' OR 1=1", "a" * 2000):
        assert world.call("GET", f"/v1/verifications/{token}").status_code == 404
        assert _verify(world, token).status_code == 404
        assert (
            world.call("POST", f"/v1/password-resets/{token}", {"password": PASSWORD}).status_code
            == 404
        )


def test_a_link_is_only_good_for_what_it_was_sent_for(world):
    world.customer()
    token = world.link(OLGA)
    assert (
        world.call("POST", f"/v1/password-resets/{token}", {"password": PASSWORD}).status_code
        == 404
    )
    assert world.call("POST", "/v1/sessions/refresh", {"refresh_token": token}).status_code == 401
    _verify(world, token)
    world.call("POST", "/v1/password-resets", {"email": OLGA})
    assert _verify(world, world.link(OLGA)).status_code == 404


def test_a_password_that_is_not_taken_leaves_the_link_good(world):
    world.customer()
    token = world.link(OLGA)
    for password, code in (
        ("short", "length"),
        ("x" * 129, "length"),
        ("password1234567", "breached"),
        ("my acme ltd login", "guessable"),
        ("olga-1234567890-x", "guessable"),
        (None, "required"),
    ):
        refused = _verify(world, token, {"password": password} if password else {})
        assert refused.status_code == 422
        assert [(e["pointer"], e["code"]) for e in refused.json["errors"]] == [("/password", code)]
    assert _verify(world, token).status_code == 201


def test_who_has_a_password_just_joins(world):
    world.owner()
    second_id = world.customer(OLGA, name="Second")
    assert "join with your existing password" in world.post()[-1].get_content()
    token = world.link(OLGA)
    assert world.call("GET", f"/v1/verifications/{token}").json["password_required"] is False
    assert _verify(world, token, {}).status_code == 201
    assert world.log_in(OLGA, organization_id=second_id)["organization"]["id"] == second_id


def test_while_suspended_a_link_waits(world):
    organization_id = world.customer()
    token = world.link(OLGA)
    world.hear(
        org.OrganizationSuspended(organization_id=organization_id, provider_id=organization_id)
    )
    refused = _verify(world, token)
    assert refused.status_code == 409 and refused.json["code"] == "organization_suspended"
    world.hear(
        org.RestoreAccess(organization_id=organization_id, conversation_id="c", suspended=False)
    )
    assert _verify(world, token).status_code == 201


def test_a_deletion_revokes_links(world):
    organization_id = world.customer()
    token = world.link(OLGA)
    world.hear(org.EndAccess(organization_id=organization_id, deletion_id="d"))
    assert _verify(world, token).status_code == 410
    world.hear(
        org.RestoreAccess(organization_id=organization_id, conversation_id="c", suspended=False)
    )
    assert _verify(world, token).status_code == 410


def test_asking_for_a_new_password_reads_the_same_for_everybody(world):
    world.owner()
    known = world.call("POST", "/v1/password-resets", {"email": OLGA})
    unknown = world.call("POST", "/v1/password-resets", {"email": "nobody@customer.example"})
    invalid = world.call("POST", "/v1/password-resets", {"email": "not an address"})
    assert known.status_code == unknown.status_code == invalid.status_code == 202
    assert known.json == unknown.json == invalid.json
    assert [m["To"] for m in world.post()] == [OLGA, OLGA]


def test_a_new_password_ends_every_session_and_opens_a_shut_door(world):
    _, token = world.owner()
    for n in range(6):
        world.call("POST", "/v1/sessions", {"email": OLGA, "password": f"wrong {n}"})
    world.call("POST", "/v1/password-resets", {"email": OLGA})
    link = world.link(OLGA)
    assert world.call("GET", f"/v1/password-resets/{link}").status_code == 200
    done = world.call("POST", f"/v1/password-resets/{link}", {"password": NEW})
    assert done.status_code == 201
    assert world.revoked(token)
    assert world.call("POST", f"/v1/password-resets/{link}", {"password": NEW}).status_code == 410
    assert (
        world.call("POST", "/v1/sessions", {"email": OLGA, "password": PASSWORD}).status_code == 401
    )
    world.log_in(OLGA, NEW)


def test_a_reset_is_good_for_half_an_hour_and_the_newest_counts(world):
    world.owner()
    world.call("POST", "/v1/password-resets", {"email": OLGA})
    first = world.link(OLGA)
    world.call("POST", "/v1/password-resets", {"email": OLGA})
    second = world.link(OLGA)
    assert world.call("GET", f"/v1/password-resets/{first}").status_code == 410
    world.clock.pass_(minutes=31)
    assert world.call("POST", f"/v1/password-resets/{second}", {"password": NEW}).status_code == 410


def test_three_resets_an_hour(world):
    world.owner()
    for _ in range(5):
        assert world.call("POST", "/v1/password-resets", {"email": OLGA}).status_code == 202
    assert len(world.post()) == 1 + 3


def test_who_has_not_joined_yet_gets_no_reset(world):
    world.customer()
    world.post()
    world.call("POST", "/v1/password-resets", {"email": OLGA})
    assert len(world.post()) == 1


def test_no_raw_token_password_or_pin_is_stored(world):
    organization_id, token = world.owner()
    refresh = world.log_in(OLGA)["refresh_token"]
    world.call("POST", "/v1/password-resets", {"email": OLGA})
    link = world.link(OLGA)
    pin = world.call(
        "POST",
        f"/v1/organizations/{organization_id}/members",
        {"name": "Desk", "portal_access": False},
        token=token,
        headers={"Idempotency-Key": "k"},
    ).json["pin"]
    secrets = [s.encode() for s in (refresh, link, PASSWORD, f'"{pin}"', token)]
    with world.database.reading() as session:
        for table in (*models.Base.metadata.sorted_tables, *Base.metadata.sorted_tables):
            columns = [c for c in table.columns if isinstance(c.type, String | LargeBinary)]
            for row in session.execute(select(*columns)) if columns else ():
                for value in row:
                    raw = value if isinstance(value, bytes) else str(value).encode()
                    assert not any(s in raw for s in secrets), table.name
