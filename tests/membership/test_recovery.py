"""Lost authenticators: new recovery codes, and the operator's reset."""

import subprocess
import sys

import pytest
from membership import app as application
from membership import models
from membership.actions import recovery
from sqlalchemy import func, select

from tests.membership.test_security import (
    OLGA,
    audited,
    log_in,
    step_up,
    with_codes,
)


def renew(service, token):
    return service.call("POST", "/v1/me/recovery-codes", token=token)


def test_new_recovery_codes_replace_the_old_ones(service):
    token, phone, old = with_codes(service)
    assert renew(service, token).status_code == 201, "just authenticated with a code"
    service.clock.advance(minutes=6)
    token = log_in(service, phone.next()).json["access_token"]

    renewed = renew(service, token)

    new = renewed.json["recovery_codes"]
    assert len(set(new)) == 10 and not set(new) & set(old)
    assert log_in(service, old[0]).status_code == 401
    assert log_in(service, new[0]).status_code == 201
    with service.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(models.RecoveryCode)) == 10
    assert len(audited(service, "mfa.recovery_codes_renewed")) == 2
    assert "You have new recovery codes" in [m["Subject"] for m in service.send_mails()]


def test_they_require_a_recent_code(service):
    token, phone, _ = with_codes(service)
    service.clock.advance(minutes=4)
    signed_in = log_in(service, phone.next()).json
    service.clock.advance(minutes=6)
    refresh = {"refresh_token": signed_in["refresh_token"]}
    token = service.call("POST", "/v1/sessions/refresh", refresh).json["access_token"]
    refused = renew(service, token)
    assert (refused.status_code, refused.json["code"]) == (403, "step_up_required")
    token = step_up(service, token, otp=phone.next()).json["access_token"]
    assert renew(service, token).status_code == 201


def test_without_codes_there_are_none_to_renew(service):
    _, token = service.owner()
    refused = renew(service, token)
    assert (refused.status_code, refused.json["code"]) == (409, "not_enrolled")


def test_an_operator_resets_lost_codes(service):
    token, _, _ = with_codes(service)

    message = application.reset_mfa(service.database, OLGA.upper())

    assert "are off" in message
    assert service.is_revoked(token)
    assert log_in(service).status_code == 201
    [row] = audited(service, "mfa.reset")
    assert row.actor["kind"] == "system"
    assert "One-time codes of your login were reset" in [
        m["Subject"] for m in service.send_mails() if m["To"] == OLGA
    ]
    with pytest.raises(recovery.CodesAreOff):
        application.reset_mfa(service.database, OLGA)
    with pytest.raises(recovery.NoSuchLogin):
        application.reset_mfa(service.database, "nobody@customer.example")


def test_a_password_that_is_too_short_without_codes_is_reset_with_them(service):
    token, phone, _ = with_codes(service)
    body = {
        "password": "four calm otters drift",
        "new_password": "k3lp;gnu7Q",
        "otp": phone.next(),
    }
    assert service.call("POST", "/v1/me/password", body, token=token).status_code == 201

    assert "must be reset" in application.reset_mfa(service.database, OLGA)

    assert log_in(service, password="k3lp;gnu7Q").status_code == 401
    service.call("POST", "/v1/password-resets", {"email": OLGA})
    link = service.link(OLGA)
    new = {"password": "seven quiet herons wait"}
    assert service.call("POST", f"/v1/password-resets/{link}", new).status_code == 201
    assert log_in(service, password=new["password"]).status_code == 201


def test_the_command_says_how_it_is_used():
    run = subprocess.run(
        [sys.executable, "-m", "membership", "reset-mfa"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1 and "usage: python -m membership reset-mfa EMAIL" in run.stderr
