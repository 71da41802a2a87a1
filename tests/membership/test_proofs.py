"""One-time codes, recovery codes, fresh proofs, other passwords."""

import base64
from concurrent.futures import ThreadPoolExecutor

import pyotp
import pytest
from chassis.auth.encryption import DecryptionError
from contracts import membership as messages
from contracts import org
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from membership import models
from membership.values import common_passwords, one_time_codes
from membership.values.encryption import Encryption
from sqlalchemy import select

OLGA = "olga@customer.example"
ADMIN = "admin@example.com"
PASSWORD = "four calm otters drift"
NEW = "seven quiet herons wait"


class Phone:
    """An authenticator app."""

    def __init__(self, world, secret):
        self.world, self.totp = world, pyotp.TOTP(secret)

    def code(self, *, steps=0):
        return self.totp.at(self.world.clock.now(), counter_offset=steps)

    def next(self):
        """A code that was not used before."""
        self.world.clock.pass_(seconds=30)
        return self.code()


def switch_on(world, token):
    """One-time codes on: the phone and the recovery codes."""
    enrolled = world.call("POST", "/v1/me/totp", token=token)
    assert enrolled.status_code == 201, enrolled.text
    phone = Phone(world, enrolled.json["secret"])
    confirmed = world.call("POST", "/v1/me/totp/confirm", {"otp": phone.code()}, token=token)
    assert confirmed.status_code == 201, confirmed.text
    return phone, confirmed.json["recovery_codes"]


def with_codes(world):
    """An owner who has one-time codes: their token, phone and recovery codes."""
    _, token = world.owner()
    return token, *switch_on(world, token)


def log_in(world, otp=None, password=PASSWORD, address=OLGA, **more):
    body = {"email": address, "password": password} | ({"otp": otp} if otp is not None else {})
    return world.call("POST", "/v1/sessions", body, **more)


def step_up(world, token, password=PASSWORD, **more):
    return world.call("POST", "/v1/me/step-up", {"password": password, **more}, token=token)


def audited(world, action):
    return [m for m in world.said(messages.AuditRecorded) if m.action == action]


def settings(world, provider_id, version=1, **settings):
    world.hear(org.SettingsChanged(provider_id=provider_id, version=version, settings=settings))


# --- one-time codes


def test_the_secret_and_the_recovery_codes_are_shown_once_and_kept_by_nobody(world):
    token, phone, recovery = with_codes(world)
    assert len(set(recovery)) == 10
    assert (
        pyotp.parse_uri(one_time_codes.uri(phone.totp.secret, email=OLGA, issuer="Acme Ltd")).name
        == OLGA
    )
    with world.database.reading() as session:
        [totp] = session.scalars(select(models.Totp))
        kept = [code.digest for code in session.scalars(select(models.RecoveryCode))]
    assert phone.totp.secret not in totp.secret and len(kept) == 10
    assert not any(
        one_time_codes.plain(code).encode() in digest for code in recovery for digest in kept
    )
    assert [m.action for m in audited(world, "mfa.enabled")] == ["mfa.enabled"]
    assert "requires a one-time code from your authenticator app" in world.post()[-1].get_content()
    again = world.call("POST", "/v1/me/totp", token=token)
    assert again.status_code == 409 and again.json["code"] == "already_on"
    for said in world.said(messages.AuditRecorded):
        assert phone.totp.secret not in str(said) and recovery[0] not in str(said)


def test_nothing_is_demanded_before_it_is_confirmed_and_the_latest_secret_counts(world):
    _, token = world.owner()
    assert (
        world.call("POST", "/v1/me/totp/confirm", {"otp": "123456"}, token=token).json["code"]
        == "not_enrolled"
    )
    first = Phone(world, world.call("POST", "/v1/me/totp", token=token).json["secret"])
    world.log_in(OLGA)
    second = Phone(world, world.call("POST", "/v1/me/totp", token=token).json["secret"])
    wrong = world.call("POST", "/v1/me/totp/confirm", {"otp": first.code()}, token=token)
    assert wrong.status_code == 422 and wrong.json["code"] == "invalid_otp"
    assert (
        world.call("POST", "/v1/me/totp/confirm", {"otp": second.code()}, token=token).status_code
        == 201
    )


def test_the_code_is_asked_for_only_after_the_right_password(world):
    _, phone, _ = with_codes(world)
    assert log_in(world, password="wrong").json["code"] == "invalid_credentials"
    assert log_in(world, phone.next(), password="wrong").json["code"] == "invalid_credentials"
    missing = log_in(world)
    assert missing.status_code == 401 and missing.json["code"] == "otp_required"
    wrong = log_in(world, "000000")
    assert wrong.status_code == 401 and wrong.json["code"] == "invalid_otp"
    assert log_in(world, phone.code()).status_code == 201
    assert [m.reason for m in audited(world, "member.login") if m.outcome == "denied"] == [
        "invalid_otp"
    ]


def test_a_step_to_either_side_is_taken_and_none_twice(world):
    _, phone, _ = with_codes(world)
    world.clock.pass_(minutes=5)
    assert log_in(world, phone.code(steps=-2)).json["code"] == "invalid_otp"
    assert log_in(world, phone.code(steps=2)).json["code"] == "invalid_otp"
    assert log_in(world, phone.code(steps=-1)).status_code == 201
    now = phone.code()
    assert log_in(world, f"{now[:3]} {now[3:]}").status_code == 201
    assert log_in(world, now).json["code"] == "invalid_otp"
    ahead = phone.code(steps=1)
    assert log_in(world, ahead).status_code == 201
    assert log_in(world, now).json["code"] == "invalid_otp"
    world.clock.pass_(seconds=30)
    assert log_in(world, ahead).json["code"] == "invalid_otp"


@pytest.mark.parametrize("recovery", [False, True])
def test_of_several_at_once_one_gets_in_by_a_code(world, recovery):
    _, phone, spare = with_codes(world)
    otp = spare[0] if recovery else phone.next()

    def once(_):
        with world.app.test_client() as client:
            return client.post(
                "/v1/sessions", json={"email": OLGA, "password": PASSWORD, "otp": otp}
            ).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(once, range(4))) == [201, 401, 401, 401]


def test_five_wrong_codes_shut_them_for_a_quarter_of_an_hour(world):
    _, phone, _ = with_codes(world)
    phone.next()
    assert [log_in(world, f"00000{n}").status_code for n in range(5)] == [401] * 5
    for otp in (phone.code(), "no recovery code"):
        refused = log_in(world, otp)
        assert refused.status_code == 429 and refused.json["code"] == "too_many_attempts"
        assert 890 < int(refused.headers["Retry-After"]) <= 900
    world.clock.pass_(minutes=15)
    assert log_in(world, phone.code()).status_code == 201


def test_a_recovery_code_opens_what_others_have_shut(world):
    _, phone, recovery = with_codes(world)
    phone.next()
    assert [log_in(world, f"00000{n}").status_code for n in range(5)] == [401] * 5
    assert log_in(world, recovery[0]).status_code == 201
    world.clock.pass_(seconds=60)
    assert log_in(world, phone.code()).status_code == 201


def test_a_recovery_code_stands_for_a_code_once(world):
    _, _, recovery = with_codes(world)
    spelled = recovery[3].replace("-", " ").upper()
    assert log_in(world, spelled).status_code == 201
    assert log_in(world, recovery[3]).json["code"] == "invalid_otp"
    assert len(audited(world, "mfa.recovery_code_used")) == 1
    notice = world.post()[-1]
    assert (
        notice["Subject"] == "A recovery code was used to sign in to your account"
        and "Recovery codes left: 9" in notice.get_content()
    )


def test_what_is_sealed_for_one_is_worth_nothing_for_another():
    encryption = Encryption("a pepper")
    sealed = encryption.encrypt("a secret", owner="idn_one")
    assert encryption.decrypt(
        sealed, owner="idn_one"
    ) == "a secret" and sealed != encryption.encrypt("a secret", owner="idn_one")
    for other, whose in ((encryption, "idn_two"), (Encryption("another pepper"), "idn_one")):
        with pytest.raises(DecryptionError):
            other.decrypt(sealed, owner=whose)
        assert other.digest("x", owner=whose) != encryption.digest("x", owner="idn_one")


def test_what_was_stored_under_the_previous_pepper_still_works():
    before, after = Encryption("old"), Encryption("new", "old")
    stored = before.encrypt("a secret", owner="idn_one")

    assert after.decrypt(stored, owner="idn_one") == "a secret"
    assert before.digest("x", owner="idn_one") in after.digests("x", owner="idn_one")
    assert after.digest("x", owner="idn_one") == Encryption("new").digest("x", owner="idn_one")

    moved = after.rotate(stored, owner="idn_one")
    assert Encryption("new").decrypt(moved, owner="idn_one") == "a secret"
    assert before.rotate(stored, owner="idn_one") == stored


def test_what_was_encrypted_by_the_first_version_can_be_decrypted():
    """AES-GCM in standard base64, with "+" and "/" in it."""
    key = HKDF(SHA256(), 32, None, b"membership seal").derive(b"a pepper")
    for attempt in range(100):
        nonce = attempt.to_bytes(12)
        raw = nonce + AESGCM(key).encrypt(nonce, b"a secret", b"idn_one")
        stored = base64.b64encode(raw).decode()

        assert Encryption("a pepper").decrypt(stored, owner="idn_one") == "a secret"


def test_who_has_just_proved_themselves_by_a_code_may_switch_them_off(world):
    _, phone, _ = with_codes(world)
    token = log_in(world, phone.next()).json["access_token"]
    world.clock.pass_(minutes=4)
    entered = world.call(
        "POST",
        "/v1/sessions/exchange",
        {"organization_id": world.claims(token)["org"]},
        token=token,
    )
    assert (
        world.call("DELETE", "/v1/me/totp", token=entered.json["access_token"]).status_code == 204
    )
    assert log_in(world).status_code == 201
    assert (
        len(audited(world, "mfa.disabled")) == 1
        and "no longer requires a one-time code" in world.post()[-1].get_content()
    )
    assert world.call("DELETE", "/v1/me/totp", token=token).json["code"] == "not_enrolled"
    with world.database.reading() as session:
        assert not any(session.scalars(select(models.LoginSession.with_otp)))


def test_a_proof_without_a_code_or_an_old_one_switches_nothing_off_or_on(world):
    world.owner()
    login = world.log_in(OLGA)
    world.clock.pass_(minutes=5)
    token = world.call(
        "POST", "/v1/sessions/refresh", {"refresh_token": login["refresh_token"]}
    ).json["access_token"]
    assert world.call("POST", "/v1/me/totp", token=token).json["code"] == "step_up_required"
    assert step_up(world, token).status_code == 201
    without = world.log_in(OLGA)["access_token"]
    phone, _ = switch_on(world, token)

    def refused(token):
        answer = world.call("DELETE", "/v1/me/totp", token=token)
        return answer.status_code == 403 and answer.json["code"] == "step_up_required"

    assert refused(without)
    login = log_in(world, phone.next()).json
    world.clock.pass_(minutes=5)
    old = world.call(
        "POST", "/v1/sessions/refresh", {"refresh_token": login["refresh_token"]}
    ).json["access_token"]
    assert refused(old)
    assert step_up(world, old).json["code"] == "otp_required"
    assert step_up(world, old, otp=phone.code()).status_code == 201
    assert world.call("DELETE", "/v1/me/totp", token=old).status_code == 204


# --- where the provider demands them


def test_staff_without_codes_may_do_nothing_but_switch_them_on_once_they_are_demanded(world):
    token = world.provider()
    provider_id = world.claims(token)["org"]
    members = f"/v1/organizations/{provider_id}/members"
    assert world.call("GET", members, token=token).status_code == 200
    settings(world, provider_id, mfa_required=True)
    assert world.revoked(token)
    login = world.log_in(ADMIN)
    token = login["access_token"]
    assert world.claims(token)["missing"] == "mfa_required"
    refused = world.call("GET", members, token=token)
    assert refused.status_code == 403 and refused.json["code"] == "mfa_required"
    assert world.call("GET", "/v1/me", token=token).status_code == 200
    phone, _ = switch_on(world, token)
    fresh = world.call(
        "POST", "/v1/sessions/refresh", {"refresh_token": login["refresh_token"]}
    ).json["access_token"]
    assert (
        "missing" not in world.claims(fresh)
        and world.call("GET", members, token=fresh).status_code == 200
    )
    entered = world.call(
        "POST", "/v1/sessions/exchange", {"organization_id": provider_id}, token=fresh
    ).json
    assert "missing" not in world.claims(entered["access_token"])
    refused = world.call("DELETE", "/v1/me/totp", token=fresh)
    assert refused.status_code == 409 and refused.json["code"] == "mfa_required"
    by_code = log_in(world, phone.next(), address=ADMIN).json["access_token"]
    settings(world, provider_id, version=2, mfa_required=False)
    settings(world, provider_id, version=3, mfa_required=True)
    assert not world.revoked(by_code)


def test_a_customers_people_need_no_codes_for_that(world):
    provider_id = world.claims(world.provider())["org"]
    _, token = world.owner(provider_id=provider_id)
    settings(world, provider_id, mfa_required=True)
    assert not world.revoked(token) and "missing" not in world.claims(
        world.log_in(OLGA)["access_token"]
    )


# --- fresh proofs


def test_what_is_dangerous_wants_a_fresh_proof_where_the_provider_says_so(world):
    provider_id = world.claims(world.provider())["org"]
    settings(world, provider_id, step_up_required=True)
    world.owner(provider_id=provider_id)
    login = world.log_in(OLGA)
    world.clock.pass_(seconds=301)
    login = world.call(
        "POST", "/v1/sessions/refresh", {"refresh_token": login["refresh_token"]}
    ).json
    token, body = login["access_token"], {"name": "Till", "scopes": ["members:read"]}
    refused = world.call("POST", "/v1/api-keys", body, token=token)
    assert refused.status_code == 403 and refused.json["code"] == "step_up_required"
    assert world.call("GET", "/v1/api-keys", token=token).status_code == 200
    proved = step_up(world, token)
    assert proved.status_code == 201, proved.text
    assert set(proved.json) == {"access_token", "token_type", "expires_in", "proved_until"}
    assert (
        world.call("POST", "/v1/api-keys", body, token=proved.json["access_token"]).status_code
        == 201
    )
    assert len(audited(world, "member.proved")) == 1
    said = world.claims(proved.json["access_token"])
    renewed = world.call(
        "POST", "/v1/sessions/refresh", {"refresh_token": login["refresh_token"]}
    ).json
    entered = world.call(
        "POST", "/v1/sessions/exchange", {"organization_id": said["org"]}, token=token
    ).json
    for other in (renewed, entered):
        claims = world.claims(other["access_token"])
        assert (
            claims["proved"] == said["proved"]
            and claims["must_prove"] is True
            and claims["iat"] > said["iat"]
        )


def test_without_that_setting_nothing_has_to_be_proved(world):
    _, token = world.owner()
    assert "must_prove" not in world.claims(token)
    world.clock.pass_(seconds=299)
    body = {"name": "Till", "scopes": ["members:read"]}
    assert world.call("POST", "/v1/api-keys", body, token=token).status_code == 201


def test_a_proof_counts_wrong_passwords_as_a_login_does(world):
    _, token = world.owner()
    assert [step_up(world, token, f"wrong {n}").status_code for n in range(5)] == [401] * 5
    refused = step_up(world, token)
    assert refused.status_code == 429 and refused.json["code"] == "too_many_attempts"
    assert log_in(world).status_code == 429


def test_a_session_that_has_ended_proves_nothing(world):
    _, token = world.owner()
    assert world.call("DELETE", "/v1/sessions/current", token=token).status_code == 204
    for path, body in (
        ("totp", None),
        ("step-up", {"password": PASSWORD}),
        ("password", {"password": PASSWORD, "new_password": NEW}),
    ):
        refused = world.call("POST", f"/v1/me/{path}", body, token=token)
        assert refused.status_code == 401 and refused.json["code"] == "token_revoked"
    assert log_in(world).status_code == 201


# --- sessions and passwords


def test_all_others_may_be_ended_at_once(world):
    _, token = world.owner()
    other = world.log_in(OLGA)["access_token"]
    assert world.call("DELETE", "/v1/sessions", token=token).status_code == 204
    assert world.revoked(other) and not world.revoked(token)


def test_another_password_ends_every_other_session_and_is_told(world):
    _, token = world.owner()
    other = world.log_in(OLGA)
    body = {"password": PASSWORD, "new_password": NEW}
    wrong = world.call("POST", "/v1/me/password", body | {"password": "wrong"}, token=token)
    assert wrong.status_code == 401 and wrong.json["code"] == "invalid_credentials"
    changed = world.call("POST", "/v1/me/password", body, token=token)
    assert changed.status_code == 201 and changed.json == {"changed": True}
    assert world.revoked(other["access_token"]) and not world.revoked(token)
    assert log_in(world).status_code == 401 and log_in(world, password=NEW).status_code == 201
    assert len(audited(world, "password.changed")) == 1
    assert world.post()[-1]["Subject"] == "Your password was changed"


def test_a_password_chosen_by_a_link_is_told_too(world):
    world.owner()
    assert "Your password was changed" not in [m["Subject"] for m in world.post()]
    world.call("POST", "/v1/password-resets", {"email": OLGA})
    world.call("POST", f"/v1/password-resets/{world.link(OLGA)}", {"password": NEW})
    assert world.post()[-1]["Subject"] == "Your password was changed"


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("fourteen char.", "length"),
        ("x" * 129, "length"),
        ("Password12345678!", "breached"),
        ("the clientele way in", "guessable"),
        ("where olga goes by", "guessable"),
        ("and Acme it will be", "guessable"),
        ("my customer's example", "guessable"),
    ],
)
def test_which_passwords_are_not_taken(world, password, code):
    _, token = world.owner()
    body = {"password": PASSWORD, "new_password": password}
    refused = world.call("POST", "/v1/me/password", body, token=token)
    assert refused.status_code == 422
    assert [(e["pointer"], e["code"]) for e in refused.json["errors"]] == [("/new_password", code)]


def test_a_short_password_is_good_beside_codes_and_keeps_them_on(world):
    token, phone, _ = with_codes(world)

    def change(old, new):
        body = {"password": old, "new_password": new, "otp": phone.next()}
        return world.call("POST", "/v1/me/password", body, token=token)

    assert change(PASSWORD, "Passw0rd!").json["errors"][0]["code"] == "breached"
    assert change(PASSWORD, "7 chars").json["errors"][0]["code"] == "length"
    assert change(PASSWORD, "k3lp gnu").status_code == 201
    token = log_in(world, phone.next(), password="k3lp gnu").json["access_token"]
    refused = world.call("DELETE", "/v1/me/totp", token=token)
    assert refused.status_code == 409 and refused.json["code"] == "password_too_short"
    assert change("k3lp gnu", NEW).status_code == 201
    assert step_up(world, token, NEW, otp=phone.next()).status_code == 201
    assert world.call("DELETE", "/v1/me/totp", token=token).status_code == 204


@pytest.mark.parametrize(
    ("password", "known"),
    [
        ("Passwort2024!", True),
        ("p@ssw0rd", True),
        ("testtesttest1", True),
        ("Dragon1234567", True),
        ("12345678", True),
        ("monkey749302847561", False),
        ("dragons drift by night", False),
        ("xK9!mQ2z", False),
    ],
)
def test_what_is_tried_first_is_known_in_any_dress(password, known):
    assert common_passwords.is_known(password) is known


def test_nobody_is_kept_once_erased(world):
    token, _, _ = with_codes(world)
    world.hear(org.EraseMembers(organization_id=world.claims(token)["org"], deletion_id="d"))
    with world.database.reading() as session:
        for model in (models.Totp, models.RecoveryCode, models.KnownClient):
            assert session.scalars(select(model)).all() == []
