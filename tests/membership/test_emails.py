"""Emails: as files, by SMTP, and while the server is unavailable."""

import dataclasses
import email
import smtplib
import ssl
import subprocess
from contextlib import nullcontext
from email import policy

import pytest
from aiosmtpd.controller import Controller
from chassis.runtime import clock
from chassis.runtime.settings import Misconfigured, Secret
from devtools import ports
from membership import clients, jobs
from membership.clients import mail_transport
from membership.config import Settings
from membership.values.mails import OutgoingMail

OLGA = "olga@customer.example"


def _mail(**more):
    return OutgoingMail(
        **{
            "mail_id": 1,
            "purpose": "invitation",
            "to": OLGA,
            "token": "T" * 43,
            "given_name": "Olga",
            "organization": "Acme Ltd",
            "has_password": False,
            **more,
        }
    )


class Box:
    def __init__(self):
        self.mails = []

    async def handle_DATA(self, server, session, envelope):
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 OK"


@pytest.fixture
def smtp():
    box = Box()

    box.port = ports.free_port()
    controller = Controller(box, hostname="127.0.0.1", port=box.port)
    controller.start()
    yield box
    controller.stop()


def test_a_mail_is_a_file_whose_name_sorts_by_time(tmp_path):
    post = clients.post(f"file://{tmp_path}/deep/er")
    for n in range(3):
        post(
            clients.compose(
                _mail(given_name=f"N{n}"), public_url="https://app.example/", sender="a@b.example"
            )
        )
    files = sorted((tmp_path / "deep" / "er").iterdir())
    assert [f.suffix for f in files] == [".eml"] * 3
    read = [email.message_from_bytes(f.read_bytes(), policy=policy.default) for f in files]
    assert [m.get_content().split()[1] for m in read] == ["N0,", "N1,", "N2,"]
    assert read[0]["To"] == OLGA and read[0]["From"] == "a@b.example"
    assert f"https://app.example/verify/{'T' * 43}\n" in files[0].read_text()


@pytest.mark.parametrize("purpose", ["sessions_ended", "ownership_given", "reset_mfa"])
def test_a_name_that_ends_with_a_period_gets_no_second_one(purpose):
    details = {"by": "Ann", "other": "Bob"}
    mail = _mail(purpose=purpose, organization="Acme (Pte.) Ltd.", details=details)
    text = clients.compose(mail, public_url="https://a.example", sender="a@b.example").get_content()
    assert "Acme (Pte.) Ltd." in text and ".." not in text


def test_names_cannot_inject_headers():
    message = clients.compose(
        _mail(organization="Evil\r\nBcc: all@service.example"),
        public_url="https://a.example",
        sender="a@b.example",
    )
    assert message["Bcc"] is None and "Evil Bcc" in message["Subject"]


def test_text_in_any_script(smtp):
    letter = _mail(
        organization="Bücher & Söhne 株式会社", given_name="Øyvind", to="info@bücher.example"
    )
    clients.post(f"smtp://127.0.0.1:{smtp.port}")(
        clients.compose(letter, public_url="https://a.example", sender="a@b.example")
    )
    [(_, recipients, content)] = smtp.mails
    assert recipients == ["info@xn--bcher-kva.example"]
    read = email.message_from_bytes(content, policy=policy.default)
    assert "株式会社" in read["Subject"] and "Øyvind" in read.get_content()


def test_both_spellings_of_a_domain_are_one_login_and_mail_goes_to_the_exact_domain(service):
    in_ascii = "ann@xn--strae-oqa.example"
    organization_id, token = service.owner()
    members = f"/v1/organizations/{organization_id}/members"
    new = {"name": "Ann", "portal_access": True, "role": "member", "email": "Ann@STRAẞE.example"}

    assert service.call("POST", members, new, token=token).json["email"] == "ann@straße.example"
    assert service.call("POST", members, new | {"email": in_ascii}, token=token).status_code == 409
    service.accept(in_ascii)

    people = {
        service.log_in(spelling)["identity"]["id"]
        for spelling in ("ann@straße.example", in_ascii, "ANN@Straße.example")
    }
    assert len(people) == 1
    other = {"email": "ann@strasse.example", "password": "four calm otters drift"}
    assert service.call("POST", "/v1/sessions", other).status_code == 401


@pytest.mark.parametrize(
    "address", ["a，b@x.example", "a@☃.example", "a@x.example\u2028Bcc:b@x.example"]
)
def test_a_member_cannot_have_what_mail_could_misread(service, address):
    organization_id, token = service.owner()
    new = {"name": "Ann", "portal_access": True, "role": "member", "email": address}
    answer = service.call("POST", f"/v1/organizations/{organization_id}/members", new, token=token)
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/email")


def test_an_address_stored_when_more_was_accepted_gets_no_mail(service):
    service.customer("a，b@customer.example")
    assert service.send_mails() == []
    with pytest.raises(ValueError, match="address"):
        clients.compose(
            _mail(to="a,b@customer.example"), public_url="https://a.example", sender="a@b.example"
        )


def test_the_sender_is_written_in_ascii():
    def sent_by(sender):
        message = clients.compose(_mail(), public_url="https://a.example", sender=sender)
        return str(message["From"])

    assert sent_by("info@straße.example") == "info@xn--strae-oqa.example"
    assert sent_by("Us <info@straße.example>") == "Us <info@xn--strae-oqa.example>"
    assert sent_by("clientele@localhost") == "clientele@localhost"


def test_the_reset_link_has_its_own_path():
    message = clients.compose(
        _mail(purpose="reset"), public_url="https://a.example", sender="a@b.example"
    )
    assert f"https://a.example/reset/{'T' * 43}" in message.get_content()


def test_an_invitation_by_smtp(service, smtp):
    service.settings = _with(service.settings, f"smtp://127.0.0.1:{smtp.port}")
    service.customer()
    service.send_mails()
    [(sender, recipients, content)] = smtp.mails
    assert sender == "clientele@localhost" and recipients == [OLGA]
    assert b"https://app.example/verify/" in content


def _message():
    return clients.compose(_mail(), public_url="https://a.example", sender="a@b.example")


def test_nothing_is_sent_unencrypted_to_another_machine(smtp, monkeypatch):
    with pytest.raises(smtplib.SMTPNotSupportedError):
        clients.post(f"smtp://me:secret@127.0.0.1:{smtp.port}")(_message())
    monkeypatch.setattr(mail_transport, "_is_loopback", lambda host: False)
    with pytest.raises(smtplib.SMTPNotSupportedError):
        clients.post(f"smtp://127.0.0.1:{smtp.port}")(_message())
    assert smtp.mails == []


@pytest.mark.parametrize("is_trusted", [True, False])
def test_by_tls_a_mail_goes_only_to_a_server_with_a_trusted_certificate(
    tmp_path, monkeypatch, is_trusted
):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    box = Box()
    controller = Controller(box, hostname="127.0.0.1", port=ports.free_port(), ssl_context=tls)
    controller.start()
    try:
        with nullcontext() if is_trusted else pytest.raises(ssl.SSLCertVerificationError):
            clients.post(f"smtps://127.0.0.1:{controller.port}")(_message())
    finally:
        controller.stop()
    assert len(box.mails) == is_trusted


@pytest.mark.parametrize("url", ["", "mail.example", "http://mail.example", "file://", "smtp://"])
def test_another_address_is_refused_at_the_start(url):
    with pytest.raises(ValueError, match="MAIL_URL"):
        clients.post(url)
    if url:
        with pytest.raises(Misconfigured, match="MAIL_URL"):
            Settings(database_url="", signing_key="", pepper="", mail_url=url, public_url="")


def test_when_the_server_is_away_a_mail_waits_and_its_link_is_made_again(service):
    good = service.settings
    service.customer()
    service.settings = _with(good, "smtp://127.0.0.1:1")
    assert service.send_mails() == []
    service.settings = good
    assert service.send_mails() == []
    service.clock.advance(seconds=11)
    assert len(service.send_mails()) == 1
    service.accept(OLGA)


def test_dying_between_hash_and_mail_only_means_another_link(service, monkeypatch):
    service.customer()

    def die(url):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(clients, "post", die)
        with pytest.raises(KeyboardInterrupt):
            jobs.send_mails(service.database, clock.now(), service.settings)
    assert service.send_mails() == []
    service.clock.advance(seconds=61)
    assert len(service.send_mails()) == 1
    service.accept(OLGA)


def test_dying_after_the_mail_kills_its_link_but_sends_another(service, monkeypatch):
    service.customer()

    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(jobs.mail_delivery, "mark_sent", die)
        with pytest.raises(KeyboardInterrupt):
            jobs.send_mails(service.database, clock.now(), service.settings)
    first = service.link(OLGA)
    service.clock.advance(seconds=61)
    assert service.link(OLGA) != first and len(service.send_mails()) == 2
    assert service.call("GET", f"/v1/verifications/{first}").status_code == 410
    service.accept(OLGA)


def _with(settings, url):
    return dataclasses.replace(settings, mail_url=Secret(url))


def test_a_person_who_has_not_proved_the_address_is_greeted_neutrally(service):
    organization_id, token = service.owner(given_name="Pay at evil.example now")
    new = {"name": "Ann", "portal_access": True, "role": "member", "email": "ann@customer.example"}
    members = f"/v1/organizations/{organization_id}/members"
    assert service.call("POST", members, new, token=token).status_code == 201
    service.call("POST", "/v1/password-resets", {"email": OLGA})
    texts = {(m["To"], m["Subject"]): m.get_content().splitlines() for m in service.send_mails()}
    invitations = [text for (_, subject), text in texts.items() if "invited" in subject]
    assert [text[0] for text in invitations] == ["Hello,", "Hello,"]
    reset = texts[OLGA, "Reset your password"]
    assert reset[0] == "Hello Pay at evil.example now,"


def test_names_in_mail_are_short():
    message = clients.compose(
        _mail(given_name="G" * 60, organization="O" * 60),
        public_url="https://a.example",
        sender="a@b.example",
    )
    text = message.get_content()
    assert f"Hello {'G' * 39}…,\n" in text
    assert "O" * 39 + "…" in text and "O" * 40 not in text
    assert "O" * 40 not in message["Subject"]


@pytest.mark.parametrize("field", ["name", "given_name", "family_name"])
def test_a_member_is_not_named_by_a_link_or_what_cannot_be_seen(service, field):
    organization_id, token = service.owner()
    new = {"name": "Ann", "portal_access": False}
    for bad in ("http://evil.example", "a\u202eb", "a\U000e0041b"):
        answer = service.call(
            "POST", f"/v1/organizations/{organization_id}/members", new | {field: bad}, token=token
        )
        assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, f"/{field}")
