"""One-time codes, recovery codes, re-authentication and password changes."""

import base64
import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pyotp
import pytest
from chassis.auth.encryption import DecryptionError
from chassis.runtime.settings import Secret
from contracts import membership as messages
from contracts import org
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from membership import jobs, models
from membership.actions import reencryption
from membership.values import common_passwords, one_time_codes
from membership.values.encryption import Encryption
from sqlalchemy import select

OLGA = "olga@customer.example"
ADMIN = "admin@example.com"
PASSWORD = "four calm otters drift"
NEW = "seven quiet herons wait"


class Phone:
    """An authenticator app."""

    def __init__(self, service, secret):
        self.service, self.totp = service, pyotp.TOTP(secret)

    def code(self, *, steps=0):
        return self.totp.at(self.service.clock.now(), counter_offset=steps)

    def next(self):
        """A code that was not used before."""
        self.service.clock.advance(seconds=30)
        return self.code()


def switch_on(service, token):
    """Switch one-time codes on; returns the phone and the recovery codes."""
    enrolled = service.call("POST", "/v1/me/totp", token=token)
    assert enrolled.status_code == 201, enrolled.text
    phone = Phone(service, enrolled.json["secret"])
    confirmed = service.call("POST", "/v1/me/totp/confirm", {"otp": phone.code()}, token=token)
    assert confirmed.status_code == 201, confirmed.text
    return phone, confirmed.json["recovery_codes"]


def with_codes(service):
    """An owner with one-time codes; returns their token, phone and recovery codes."""
    _, token = service.owner()
    return token, *switch_on(service, token)


def log_in(service, otp=None, password=PASSWORD, address=OLGA, **more):
    body = {"email": address, "password": password} | ({"otp": otp} if otp is not None else {})
    return service.call("POST", "/v1/sessions", body, **more)


def step_up(service, token, password=PASSWORD, **more):
    return service.call("POST", "/v1/me/step-up", {"password": password, **more}, token=token)


def audited(service, action):
    return [m for m in service.published(messages.AuditRecorded) if m.action == action]


def settings(service, provider_id, version=1, **settings):
    service.receive(
        org.SettingsChanged(provider_id=provider_id, version=version, settings=settings)
    )


# --- one-time codes


def test_the_secret_and_the_recovery_codes_are_shown_once_and_not_readable_later(service):
    _, phone, recovery = with_codes(service)
    assert len(set(recovery)) == 10
    assert (
        pyotp.parse_uri(one_time_codes.uri(phone.totp.secret, email=OLGA, issuer="Acme Ltd")).name
        == OLGA
    )
    with service.database.reading() as session:
        [totp] = session.scalars(select(models.Authenticator))
        kept = [code.digest for code in session.scalars(select(models.RecoveryCode))]
    assert phone.totp.secret not in totp.secret and len(kept) == 10
    assert not any(
        one_time_codes.plain(code).encode() in digest for code in recovery for digest in kept
    )
    assert [m.action for m in audited(service, "mfa.enabled")] == ["mfa.enabled"]
    assert (
        "requires a one-time code from your authenticator app"
        in service.send_mails()[-1].get_content()
    )
    for record in service.published(messages.AuditRecorded):
        assert phone.totp.secret not in str(record) and recovery[0] not in str(record)


def test_codes_are_required_only_once_confirmed_and_the_latest_secret_counts(service):
    _, token = service.owner()
    assert (
        service.call("POST", "/v1/me/totp/confirm", {"otp": "123456"}, token=token).json["code"]
        == "not_enrolled"
    )
    first = Phone(service, service.call("POST", "/v1/me/totp", token=token).json["secret"])
    service.log_in(OLGA)
    second = Phone(service, service.call("POST", "/v1/me/totp", token=token).json["secret"])
    wrong = service.call("POST", "/v1/me/totp/confirm", {"otp": first.code()}, token=token)
    assert wrong.status_code == 422 and wrong.json["code"] == "invalid_otp"
    assert (
        service.call("POST", "/v1/me/totp/confirm", {"otp": second.code()}, token=token).status_code
        == 201
    )


def test_the_code_is_required_only_after_the_right_password(service):
    _, phone, _ = with_codes(service)
    assert log_in(service, password="wrong").json["code"] == "invalid_credentials"
    assert log_in(service, phone.next(), password="wrong").json["code"] == "invalid_credentials"
    missing = log_in(service)
    assert missing.status_code == 401 and missing.json["code"] == "otp_required"
    wrong = log_in(service, "000000")
    assert wrong.status_code == 401 and wrong.json["code"] == "invalid_otp"
    assert log_in(service, phone.code()).status_code == 201
    assert [m.reason for m in audited(service, "member.login") if m.outcome == "denied"] == [
        "invalid_otp"
    ]


def test_adjacent_steps_are_accepted_and_none_twice(service):
    _, phone, _ = with_codes(service)
    service.clock.advance(minutes=5)
    assert log_in(service, phone.code(steps=-2)).json["code"] == "invalid_otp"
    assert log_in(service, phone.code(steps=2)).json["code"] == "invalid_otp"
    assert log_in(service, phone.code(steps=-1)).status_code == 201
    now = phone.code()
    assert log_in(service, f"{now[:3]} {now[3:]}").status_code == 201
    assert log_in(service, now).json["code"] == "invalid_otp"
    ahead = phone.code(steps=1)
    assert log_in(service, ahead).status_code == 201
    assert log_in(service, now).json["code"] == "invalid_otp"
    service.clock.advance(seconds=30)
    assert log_in(service, ahead).json["code"] == "invalid_otp"


def test_codes_may_be_typed_with_the_digits_of_any_script(service):
    def full_width(text):
        return "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in text)

    _, phone, spare = with_codes(service)
    code = phone.next()
    assert log_in(service, full_width(f"{code[:3]} {code[3:]}")).status_code == 201
    arabic = "".join(chr(0x660 + int(digit)) for digit in phone.next())
    assert log_in(service, arabic).status_code == 201
    assert log_in(service, full_width(spare[0].upper())).status_code == 201
    assert log_in(service, full_width("²" * 6)).status_code == 401


@pytest.mark.parametrize("recovery", [False, True])
def test_of_several_concurrent_uses_of_a_code_one_succeeds(service, recovery):
    _, phone, spare = with_codes(service)
    otp = spare[0] if recovery else phone.next()

    def once(_):
        with service.app.test_client() as client:
            return client.post(
                "/v1/sessions", json={"email": OLGA, "password": PASSWORD, "otp": otp}
            ).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(once, range(4))) == [201, 401, 401, 401]


@pytest.mark.usefixtures("stopped_clock")
def test_five_wrong_codes_block_codes_for_15_minutes(service):
    _, phone, _ = with_codes(service)
    phone.next()
    assert [log_in(service, f"00000{n}").status_code for n in range(5)] == [401] * 5
    for otp in (phone.code(), "no recovery code"):
        refused = log_in(service, otp)
        assert refused.status_code == 429 and refused.json["code"] == "too_many_attempts"
        assert 890 < int(refused.headers["Retry-After"]) <= 900
    service.clock.advance(minutes=15)
    assert log_in(service, phone.code()).status_code == 201


def test_a_recovery_code_works_while_codes_are_blocked(service):
    _, phone, recovery = with_codes(service)
    phone.next()
    assert [log_in(service, f"00000{n}").status_code for n in range(5)] == [401] * 5
    assert log_in(service, recovery[0]).status_code == 201
    service.clock.advance(seconds=60)
    assert log_in(service, phone.code()).status_code == 201


def test_a_recovery_code_replaces_a_code_once(service):
    _, _, recovery = with_codes(service)
    spelled = recovery[3].replace("-", " ").upper()
    assert log_in(service, spelled).status_code == 201
    assert log_in(service, recovery[3]).json["code"] == "invalid_otp"
    assert len(audited(service, "mfa.recovery_code_used")) == 1
    notice = service.send_mails()[-1]
    assert (
        notice["Subject"] == "A recovery code was used to sign in to your account"
        and "Recovery codes left: 9" in notice.get_content()
    )


def test_what_is_encrypted_for_one_owner_is_useless_for_another():
    encryption = Encryption("a pepper")
    sealed = encryption.encrypt("a secret", owner="idn_one")
    assert encryption.decrypt(
        sealed, owner="idn_one"
    ) == "a secret" and sealed != encryption.encrypt("a secret", owner="idn_one")
    for other, owner in ((encryption, "idn_two"), (Encryption("another pepper"), "idn_one")):
        with pytest.raises(DecryptionError):
            other.decrypt(sealed, owner=owner)
        assert other.digest("x", owner=owner) != encryption.digest("x", owner="idn_one")


def test_what_was_encrypted_under_the_previous_pepper_can_still_be_decrypted():
    before, after = Encryption("old"), Encryption("new", "old")
    stored = before.encrypt("a secret", owner="idn_one")

    assert after.decrypt(stored, owner="idn_one") == "a secret"
    assert before.digest("x", owner="idn_one") in after.digests("x", owner="idn_one")
    assert after.digest("x", owner="idn_one") == Encryption("new").digest("x", owner="idn_one")

    moved = after.rotate(stored, owner="idn_one")
    assert Encryption("new").decrypt(moved, owner="idn_one") == "a secret"
    assert before.rotate(stored, owner="idn_one") == stored


def test_a_leaked_pepper_is_replaced_and_withdrawn(service, monkeypatch):
    monkeypatch.setattr(reencryption, "MAX_BATCH", 1)
    people = {}
    for address in (OLGA, "second@customer.example", "third@customer.example"):
        token = service.owner(address)[1]
        people[address] = (token, *switch_on(service, token))

    def restart(pepper, previous=""):
        settings = dataclasses.replace(
            service.settings, pepper=Secret(pepper), previous_pepper=Secret(previous)
        )
        service.app.extensions["settings"] = settings
        return settings

    settings = restart("new", "a pepper")
    assert log_in(service, people[OLGA][1].next()).status_code == 201
    output = jobs.reencrypt(service.database, settings)
    assert "3 secrets of one-time codes are encrypted with PEPPER, 0 cannot" in output
    assert "30 recovery codes and 0 PINs" in output
    restart("new")
    for address, (token, phone, recovery) in people.items():
        assert service.call("GET", "/v1/me", token=token).status_code == 200
        assert log_in(service, phone.next(), address=address).status_code == 201
        assert log_in(service, recovery[0], address=address).json["code"] == "invalid_otp"

    lost = jobs.reencrypt(service.database, restart("newest", "not the one before"))
    assert lost.startswith("0 secrets of one-time codes are encrypted with PEPPER, 3 cannot")


def test_what_was_encrypted_by_the_first_version_can_be_decrypted():
    """AES-GCM in standard base64, with "+" and "/" in it."""
    key = HKDF(SHA256(), 32, None, b"membership seal").derive(b"a pepper")
    for attempt in range(100):
        nonce = attempt.to_bytes(12)
        raw = nonce + AESGCM(key).encrypt(nonce, b"a secret", b"idn_one")
        stored = base64.b64encode(raw).decode()

        assert Encryption("a pepper").decrypt(stored, owner="idn_one") == "a secret"


def test_recent_authentication_with_a_code_allows_switching_codes_off(service):
    _, phone, _ = with_codes(service)
    other = log_in(service, phone.next()).json["access_token"]
    token = log_in(service, phone.next()).json["access_token"]
    service.clock.advance(minutes=4)
    entered = service.call(
        "POST",
        "/v1/sessions/exchange",
        {"organization_id": service.claims(token)["org"]},
        token=token,
    )
    entered = entered.json["access_token"]
    assert service.call("DELETE", "/v1/me/totp", token=entered).status_code == 204
    assert log_in(service).status_code == 201
    assert (
        len(audited(service, "mfa.disabled")) == 1
        and "no longer requires a one-time code" in service.send_mails()[-1].get_content()
    )
    assert service.call("DELETE", "/v1/me/totp", token=entered).json["code"] == "not_enrolled"
    assert service.is_revoked(other), "every other session ends"
    with service.database.reading() as session:
        assert not any(session.scalars(select(models.LoginSession.with_otp)))


def test_authentication_too_long_ago_does_not_allow_it(service):
    service.owner()
    login = service.log_in(OLGA)
    service.clock.advance(minutes=5)
    token = service.call(
        "POST", "/v1/sessions/refresh", {"refresh_token": login["refresh_token"]}
    ).json["access_token"]
    assert service.call("POST", "/v1/me/totp", token=token).json["code"] == "step_up_required"
    assert step_up(service, token).status_code == 201
    without_code = service.log_in(OLGA)["access_token"]
    phone, _ = switch_on(service, token)
    assert service.is_revoked(without_code) and not service.is_revoked(token)

    def refused(token):
        answer = service.call("DELETE", "/v1/me/totp", token=token)
        return answer.status_code == 403 and answer.json["code"] == "step_up_required"

    login = log_in(service, phone.next()).json
    service.clock.advance(minutes=5)
    old = service.call(
        "POST", "/v1/sessions/refresh", {"refresh_token": login["refresh_token"]}
    ).json["access_token"]
    assert refused(old)
    assert step_up(service, old).json["code"] == "otp_required"
    assert step_up(service, old, otp=phone.code()).status_code == 201
    assert service.call("DELETE", "/v1/me/totp", token=old).status_code == 204


# --- where the provider demands them


def test_staff_without_required_codes_may_only_switch_them_on(service):
    token = service.provider()
    provider_id = service.claims(token)["org"]
    members = f"/v1/organizations/{provider_id}/members"
    assert service.call("GET", members, token=token).status_code == 200
    settings(service, provider_id, mfa_required=True)
    assert service.is_revoked(token)
    login = service.log_in(ADMIN)
    token = login["access_token"]
    assert service.claims(token)["missing"] == "mfa_required"
    refused = service.call("GET", members, token=token)
    assert refused.status_code == 403 and refused.json["code"] == "mfa_required"
    assert service.call("GET", "/v1/me", token=token).status_code == 200
    phone, _ = switch_on(service, token)
    fresh = service.call(
        "POST", "/v1/sessions/refresh", {"refresh_token": login["refresh_token"]}
    ).json["access_token"]
    assert (
        "missing" not in service.claims(fresh)
        and service.call("GET", members, token=fresh).status_code == 200
    )
    entered = service.call(
        "POST", "/v1/sessions/exchange", {"organization_id": provider_id}, token=fresh
    ).json
    assert "missing" not in service.claims(entered["access_token"])
    refused = service.call("DELETE", "/v1/me/totp", token=fresh)
    assert refused.status_code == 409 and refused.json["code"] == "mfa_required"
    by_code = log_in(service, phone.next(), address=ADMIN).json["access_token"]
    settings(service, provider_id, version=2, mfa_required=False)
    settings(service, provider_id, version=3, mfa_required=True)
    assert not service.is_revoked(by_code)


def test_customers_need_no_codes_for_that(service):
    provider_id = service.claims(service.provider())["org"]
    _, token = service.owner(provider_id=provider_id)
    settings(service, provider_id, mfa_required=True)
    assert not service.is_revoked(token) and "missing" not in service.claims(
        service.log_in(OLGA)["access_token"]
    )


# --- fresh proofs


def test_sensitive_actions_require_reauthentication_where_the_provider_requires_it(service):
    provider_id = service.claims(service.provider())["org"]
    settings(service, provider_id, step_up_required=True)
    service.owner(provider_id=provider_id)
    login = service.log_in(OLGA)
    service.clock.advance(seconds=301)
    login = service.call(
        "POST", "/v1/sessions/refresh", {"refresh_token": login["refresh_token"]}
    ).json
    token, body = login["access_token"], {"name": "Till", "scopes": ["members:read"]}
    refused = service.call("POST", "/v1/api-keys", body, token=token)
    assert refused.status_code == 403 and refused.json["code"] == "step_up_required"
    assert service.call("GET", "/v1/api-keys", token=token).status_code == 200
    proved = step_up(service, token)
    assert proved.status_code == 201, proved.text
    assert set(proved.json) == {"access_token", "token_type", "expires_in", "proved_until"}
    assert (
        service.call("POST", "/v1/api-keys", body, token=proved.json["access_token"]).status_code
        == 201
    )
    assert len(audited(service, "member.proved")) == 1
    claims_before = service.claims(proved.json["access_token"])
    renewed = service.call(
        "POST", "/v1/sessions/refresh", {"refresh_token": login["refresh_token"]}
    ).json
    entered = service.call(
        "POST", "/v1/sessions/exchange", {"organization_id": claims_before["org"]}, token=token
    ).json
    for other in (renewed, entered):
        claims = service.claims(other["access_token"])
        assert (
            claims["proved"] == claims_before["proved"]
            and claims["must_prove"] is True
            and claims["iat"] > claims_before["iat"]
        )


def test_without_that_setting_no_reauthentication_is_required(service):
    _, token = service.owner()
    assert "must_prove" not in service.claims(token)
    service.clock.advance(seconds=299)
    body = {"name": "Till", "scopes": ["members:read"]}
    assert service.call("POST", "/v1/api-keys", body, token=token).status_code == 201


@pytest.mark.usefixtures("stopped_clock")
def test_reauthentication_counts_wrong_passwords_as_a_login_does(service):
    _, token = service.owner()
    assert [step_up(service, token, f"wrong {n}").status_code for n in range(5)] == [401] * 5
    refused = step_up(service, token)
    assert refused.status_code == 429 and refused.json["code"] == "too_many_attempts"
    assert log_in(service).status_code == 429


def test_an_ended_session_cannot_reauthenticate(service):
    _, token = service.owner()
    assert service.call("DELETE", "/v1/sessions/current", token=token).status_code == 204
    for path, body in (
        ("totp", None),
        ("step-up", {"password": PASSWORD}),
        ("password", {"password": PASSWORD, "new_password": NEW}),
    ):
        refused = service.call("POST", f"/v1/me/{path}", body, token=token)
        assert refused.status_code == 401 and refused.json["code"] == "token_revoked"
    assert log_in(service).status_code == 201


# --- sessions and passwords


def test_all_other_sessions_can_be_ended_at_once(service):
    _, token = service.owner()
    other = service.log_in(OLGA)["access_token"]
    assert service.call("DELETE", "/v1/sessions", token=token).status_code == 204
    assert service.is_revoked(other) and not service.is_revoked(token)


def test_changing_the_password_ends_other_sessions_and_sends_an_email(service):
    _, token = service.owner()
    other = service.log_in(OLGA)
    body = {"password": PASSWORD, "new_password": NEW}
    wrong = service.call("POST", "/v1/me/password", body | {"password": "wrong"}, token=token)
    assert wrong.status_code == 401 and wrong.json["code"] == "invalid_credentials"
    changed = service.call("POST", "/v1/me/password", body, token=token)
    assert changed.status_code == 201 and changed.json == {"changed": True}
    assert service.is_revoked(other["access_token"]) and not service.is_revoked(token)
    assert log_in(service).status_code == 401 and log_in(service, password=NEW).status_code == 201
    assert len(audited(service, "password.changed")) == 1
    assert service.send_mails()[-1]["Subject"] == "Your password was changed"


def test_resetting_the_password_by_a_link_sends_an_email_too(service):
    service.owner()
    assert "Your password was changed" not in [m["Subject"] for m in service.send_mails()]
    service.call("POST", "/v1/password-resets", {"email": OLGA})
    service.call("POST", f"/v1/password-resets/{service.link(OLGA)}", {"password": NEW})
    assert service.send_mails()[-1]["Subject"] == "Your password was changed"


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
def test_refused_passwords(service, password, code):
    _, token = service.owner()
    body = {"password": PASSWORD, "new_password": password}
    refused = service.call("POST", "/v1/me/password", body, token=token)
    assert refused.status_code == 422
    assert [(e["pointer"], e["code"]) for e in refused.json["errors"]] == [("/new_password", code)]


def test_a_short_password_is_allowed_with_codes_and_keeps_them_on(service):
    token, phone, _ = with_codes(service)

    def change(old, new):
        body = {"password": old, "new_password": new, "otp": phone.next()}
        return service.call("POST", "/v1/me/password", body, token=token)

    assert change(PASSWORD, "Passw0rd!").json["errors"][0]["code"] == "breached"
    assert change(PASSWORD, "7 chars").json["errors"][0]["code"] == "length"
    assert change(PASSWORD, "k3lp;gnu7Q").status_code == 201
    token = log_in(service, phone.next(), password="k3lp;gnu7Q").json["access_token"]
    refused = service.call("DELETE", "/v1/me/totp", token=token)
    assert refused.status_code == 409 and refused.json["code"] == "password_too_short"
    assert change("k3lp;gnu7Q", NEW).status_code == 201
    assert step_up(service, token, NEW, otp=phone.next()).status_code == 201
    assert service.call("DELETE", "/v1/me/totp", token=token).status_code == 204


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
def test_common_passwords_are_recognized_in_any_variation(password, known):
    assert common_passwords.is_known(password) is known


def test_erasure_deletes_codes(service):
    token, _, _ = with_codes(service)
    service.receive(org.EraseMembers(organization_id=service.claims(token)["org"], deletion_id="d"))
    with service.database.reading() as session:
        for model in (models.Authenticator, models.RecoveryCode, models.KnownClient):
            assert session.scalars(select(model)).all() == []
