"""Several authenticators per person."""

import dataclasses

import pytest
from chassis.runtime import ids
from chassis.runtime.settings import Secret
from membership import jobs, models
from membership.values.encryption import Encryption
from sqlalchemy import select

from tests.membership.test_security import (
    ADMIN,
    OLGA,
    Phone,
    audited,
    log_in,
    settings,
    step_up,
    switch_on,
    with_codes,
)


def enroll(service, token, name=None):
    body = None if name is None else {"name": name}
    return service.call("POST", "/v1/me/totp", body, token=token)


def confirm(service, token, otp):
    return service.call("POST", "/v1/me/totp/confirm", {"otp": otp}, token=token)


def add(service, token, name):
    """Add an authenticator; returns it."""
    enrolled = enroll(service, token, name)
    assert enrolled.status_code == 201, enrolled.text
    phone = Phone(service, enrolled.json["secret"])
    confirmed = confirm(service, token, phone.code())
    assert confirmed.status_code == 201 and confirmed.json["recovery_codes"] == []
    return phone


def listed(service, token):
    shown = service.call("GET", "/v1/me/authenticators", token=token)
    assert shown.status_code == 200, shown.text
    return shown.json["data"]


def names(service, token):
    return [one["name"] for one in listed(service, token)]


def remove(service, token, name):
    [authenticator_id] = [one["id"] for one in listed(service, token) if one["name"] == name]
    return service.call("DELETE", f"/v1/me/totp/{authenticator_id}", token=token)


def signed_in(service, phone, address=OLGA):
    return log_in(service, phone.next(), address=address).json["access_token"]


@pytest.fixture
def two(service):
    """An owner with two authenticators; returns their token, both, and the recovery codes."""
    token, phone, recovery = with_codes(service)
    return token, phone, add(service, token, "Tablet"), recovery


def test_a_code_of_any_authenticator_signs_in_once(service, two):
    token, phone, tablet, recovery = two
    phone.next()

    assert log_in(service, phone.code()).status_code == 201
    assert log_in(service, tablet.code()).status_code == 201, "each has its own used steps"
    assert [log_in(service, one.code()).status_code for one in (phone, tablet)] == [401, 401]
    tablet.next()
    assert step_up(service, token, otp=tablet.code()).status_code == 201
    assert step_up(service, token, otp=tablet.code()).json["code"] == "invalid_otp"
    assert log_in(service, recovery[0]).status_code == 201, "the recovery codes stay valid"

    shown = listed(service, token)
    assert [(one["kind"], one["name"]) for one in shown] == [
        ("totp", "Authenticator app"),
        ("totp", "Tablet"),
    ]
    assert all(set(one) == {"id", "kind", "name", "created_at", "last_used_at"} for one in shown)
    assert shown[0]["last_used_at"] < shown[1]["last_used_at"]
    assert all(ids.is_id("aut", one["id"]) for one in shown)


@pytest.mark.usefixtures("stopped_clock")
def test_wrong_codes_count_for_all_authenticators_together(service, two):
    token, phone, tablet, _ = two
    pending = Phone(service, enroll(service, token, "Laptop").json["secret"])
    phone.next()
    assert [log_in(service, f"00000{n}").status_code for n in range(3)] == [401] * 3
    assert [confirm(service, token, f"00000{n}").status_code for n in range(2)] == [422] * 2

    for one in (phone, tablet):
        assert log_in(service, one.code()).json["code"] == "too_many_attempts"
    assert confirm(service, token, pending.code()).json["code"] == "too_many_attempts"
    assert enroll(service, token).status_code == 201, "which does not unblock them"
    assert log_in(service, tablet.code()).json["code"] == "too_many_attempts"
    service.clock.advance(minutes=15)
    assert log_in(service, tablet.code()).status_code == 201


def test_adding_one_requires_a_recent_code_and_is_reported(service):
    _, phone, _ = with_codes(service)
    login = log_in(service, phone.next()).json
    service.clock.advance(minutes=5)
    refresh = {"refresh_token": login["refresh_token"]}
    token = service.call("POST", "/v1/sessions/refresh", refresh).json["access_token"]
    refused = enroll(service, token, "Tablet")
    assert refused.status_code == 403 and refused.json["code"] == "step_up_required"
    assert step_up(service, token).json["code"] == "otp_required", "the password alone is no help"
    with service.database.transaction() as session:  # as if such a session had been left
        session.execute(models.LoginSession.__table__.update().values(with_otp=False))
    assert enroll(service, token, "Tablet").json["code"] == "step_up_required"
    assert step_up(service, token, otp=phone.next()).status_code == 201
    other = signed_in(service, phone)

    add(service, token, "Tablet")

    assert len(audited(service, "mfa.authenticator_added")) == 1
    assert len(audited(service, "mfa.enabled")) == 1
    mail = service.send_mails()[-1]
    assert mail["Subject"] == "An authenticator was added to your login"
    assert 'The authenticator "Tablet" was added' in mail.get_content()
    assert not service.is_revoked(other), "the others had a code too"


def test_an_unconfirmed_one_is_replaced_and_opens_nothing(service):
    token, phone, _ = with_codes(service)
    first = Phone(service, enroll(service, token, "Lost").json["secret"])
    assert names(service, token) == ["Authenticator app"]
    assert log_in(service, first.code()).json["code"] == "invalid_otp"
    second = Phone(service, enroll(service, token, "Tablet").json["secret"])

    assert confirm(service, token, first.code()).json["code"] == "invalid_otp"
    assert confirm(service, token, phone.next()).json["code"] == "invalid_otp"
    assert confirm(service, token, second.code()).status_code == 201
    assert confirm(service, token, second.next()).json["code"] == "not_enrolled"
    assert names(service, token) == ["Authenticator app", "Tablet"]


def test_five_are_the_most(service, two):
    token = two[0]
    for number in range(3, 6):
        add(service, token, f"Number {number}")

    refused = enroll(service, token, "Number 6")

    assert refused.status_code == 409 and refused.json["code"] == "too_many_authenticators"
    assert remove(service, token, "Number 4").status_code == 204
    add(service, token, "Number 6")
    assert names(service, token) == [
        "Authenticator app",
        "Tablet",
        "Number 3",
        "Number 5",
        "Number 6",
    ]


@pytest.mark.parametrize("name", ["", "x" * 101, "www.example.com", "bell\x07", 7])
def test_names_of_authenticators_are_checked(service, name):
    _, token = service.owner()
    refused = enroll(service, token, name)
    assert refused.status_code == 422 and refused.json["errors"][0]["pointer"] == "/name"


def test_removing_one_ends_its_codes_and_the_other_sessions(service, two):
    _, phone, tablet, recovery = two
    other, token = signed_in(service, tablet), signed_in(service, phone)

    assert remove(service, token, "Tablet").status_code == 204

    assert service.is_revoked(other) and not service.is_revoked(token)
    assert log_in(service, tablet.next()).json["code"] == "invalid_otp"
    assert log_in(service, phone.code()).status_code == 201
    assert log_in(service, recovery[0]).status_code == 201
    assert len(audited(service, "mfa.authenticator_removed")) == 1
    [mail] = [m for m in service.send_mails() if "removed from your login" in m["Subject"]]
    assert 'The authenticator "Tablet" was removed' in mail.get_content()
    assert service.call("GET", "/v1/me", token=token).json["one_time_codes"] is True


def test_removing_one_requires_a_recent_code(service, two):
    _, phone, _, _ = two
    login = log_in(service, phone.next()).json
    service.clock.advance(minutes=5)
    refresh = {"refresh_token": login["refresh_token"]}
    token = service.call("POST", "/v1/sessions/refresh", refresh).json["access_token"]
    assert remove(service, token, "Tablet").json["code"] == "step_up_required"
    assert step_up(service, token, otp=phone.next()).status_code == 201
    assert remove(service, token, "Tablet").status_code == 204


def test_only_ones_own_can_be_removed(service, two):
    token, _, _, _ = two
    _, theirs = service.owner("second@customer.example")
    switch_on(service, theirs)
    [foreign] = listed(service, theirs)
    unconfirmed = enroll(service, token, "Laptop")
    assert unconfirmed.status_code == 201
    with service.database.reading() as session:
        unconfirmed_ids = list(
            session.scalars(
                select(models.Authenticator.id).where(models.Authenticator.confirmed_at.is_(None))
            )
        )

    for one in (foreign["id"], *unconfirmed_ids, ids.new("aut"), ids.new("key"), "x"):
        refused = service.call("DELETE", f"/v1/me/totp/{one}", token=token)
        assert refused.status_code == 404 and refused.json["code"] == "not_found", one
    assert len(listed(service, theirs)) == 1 and len(listed(service, token)) == 2


def test_removing_the_last_one_turns_codes_off(service, two):
    _, phone, _, _ = two
    token = signed_in(service, phone)
    assert remove(service, token, "Authenticator app").status_code == 204
    assert enroll(service, token, "Laptop").status_code == 201

    assert remove(service, token, "Tablet").status_code == 204

    assert log_in(service).status_code == 201
    assert len(audited(service, "mfa.disabled")) == 1
    assert len(audited(service, "mfa.authenticator_removed")) == 1
    assert "no longer requires a one-time code" in service.send_mails()[-1].get_content()
    with service.database.reading() as session:
        for model in (models.Authenticator, models.RecoveryCode):
            assert session.scalars(select(model)).all() == []


def test_turning_codes_off_removes_all(service, two):
    token = two[0]
    assert service.call("DELETE", "/v1/me/totp", token=token).status_code == 204
    assert listed(service, token) == [] and log_in(service).status_code == 201


def test_where_codes_are_required_all_but_the_last_one_can_be_removed(service):
    token = service.provider()
    settings(service, service.claims(token)["org"], mfa_required=True)
    token = service.log_in(ADMIN)["access_token"]
    switch_on(service, token)
    tablet = add(service, token, "Tablet")

    assert remove(service, token, "Authenticator app").status_code == 204

    refused = remove(service, token, "Tablet")
    assert refused.status_code == 409 and refused.json["code"] == "mfa_required"
    assert log_in(service, tablet.next(), address=ADMIN).status_code == 201


def test_with_a_short_password_the_last_one_stays(service, two):
    token, phone, tablet, _ = two
    body = {"password": "four calm otters drift", "new_password": "k3lp;gnu7Q"}
    changed = service.call("POST", "/v1/me/password", body | {"otp": tablet.next()}, token=token)
    assert changed.status_code == 201
    otp = phone.next()
    token = log_in(service, otp, password=body["new_password"]).json["access_token"]
    assert remove(service, token, "Authenticator app").status_code == 204
    assert remove(service, token, "Tablet").json["code"] == "password_too_short"


def test_one_whose_secret_is_lost_does_not_block_the_others(service, two):
    _, phone, tablet, _ = two
    with service.database.transaction() as session:
        first = session.scalars(
            select(models.Authenticator).where(models.Authenticator.name != "Tablet")
        ).one()
        first.secret = Encryption("lost").encrypt(phone.totp.secret, owner=first.identity_id)

    assert log_in(service, phone.next()).json["code"] == "invalid_otp"
    assert log_in(service, tablet.code()).status_code == 201


def test_each_is_encrypted_with_the_new_pepper(service, two):
    _, phone, tablet, _ = two
    replaced = dataclasses.replace(
        service.settings, pepper=Secret("new"), previous_pepper=Secret("a pepper")
    )
    assert jobs.reencrypt(service.database, replaced).startswith("2 secrets")
    service.app.extensions["settings"] = dataclasses.replace(
        service.settings, pepper=Secret("new"), previous_pepper=Secret("")
    )
    phone.next()
    assert [log_in(service, one.code()).status_code for one in (phone, tablet)] == [201, 201]
