"""Emails about credits, which billing requests for the billing address. They have no links."""

import pytest
from chassis.messaging import outbox
from chassis.runtime import ids
from contracts import billing, org
from membership import models
from sqlalchemy import select

BILLS = "bills@customer.example"


def low(organization_id="", **more):
    known = {
        "organization_id": organization_id or ids.new("org"),
        "provider_id": ids.new("org"),
        "name": "Acme Ltd",
        "email": BILLS,
        "currency": "SGD",
        "usable_credits": "14.50",
        "threshold": "20.00",
        "crossed_at": "2027-03-10T04:00:00.000000Z",
    }
    return billing.CreditsLow(**known | more)


def wanted(**more):
    known = {
        "organization_id": ids.new("org"),
        "provider_id": ids.new("org"),
        "name": "Acme Ltd",
        "email": BILLS,
        "currency": "JPY",
        "amount": "5000",
        "method": "bank_transfer",
        "usable_credits": "-12",
    }
    return billing.TopUpWanted(**known | more)


def test_low_credits_are_emailed_to_the_billing_address(service):
    service.receive(low())
    (mail,) = service.send_mails()
    assert (mail["To"], mail["Subject"]) == (BILLS, "Acme Ltd is running low on credits")
    text = mail.get_content()
    assert "14.50 SGD" in text and "20.00 SGD" in text
    assert "http" not in text and "org_" not in text and "{" not in text


def test_a_due_top_up_is_emailed(service):
    service.receive(wanted())
    (mail,) = service.send_mails()
    assert (mail["To"], mail["Subject"]) == (BILLS, "Payment due: automatic top-up for Acme Ltd")
    text = mail.get_content()
    assert "5000 JPY by bank transfer" in text and "-12 JPY" in text
    assert "http" not in text and "{" not in text


def test_a_message_delivered_twice_is_emailed_once(service):
    with service.database.transaction() as session:
        outbox.publish(session, low())
    with service.database.reading() as session:
        body = session.scalars(select(outbox.OutboxRow.body)).one()
    for _ in range(3):
        service.inbox.receive(body, published_by="billing")
    assert service.inbox.dead_letters() == []
    assert len(service.send_mails()) == 1


def test_each_time_they_run_low_is_a_mail(service):
    service.receive(low())
    service.receive(low(usable_credits="7.00"))
    assert len(service.send_mails()) == 2


@pytest.mark.parametrize("message", [low(email=None), wanted(email=None)])
def test_where_there_is_no_address_for_bills_nothing_is_mailed(service, message):
    service.receive(message)
    assert service.send_mails() == []


@pytest.mark.parametrize("erased", [False, True])
def test_an_organization_that_is_gone_gets_no_mail(service, erased):
    organization_id, _ = service.owner()
    sent = len(service.send_mails())
    service.receive(org.EndAccess(organization_id=organization_id, deletion_id="d1"))
    if erased:
        service.receive(org.EraseMembers(organization_id=organization_id, deletion_id="d1"))
    service.receive(low(organization_id))
    assert len(service.send_mails()) == sent


def test_a_name_cannot_fill_in_the_mail_or_add_a_header(service):
    service.receive(low(name="{threshold}\r\nBcc: all@service.example"))
    (mail,) = service.send_mails()
    assert mail["Bcc"] is None and "{threshold} Bcc" in mail["Subject"]


def test_it_takes_no_token_and_does_not_count_as_a_link(service):
    for _ in range(8):
        service.receive(low(email="olga@customer.example"))
    service.owner()
    with service.database.reading() as session:
        assert len(session.scalars(select(models.MailedToken)).all()) == 1
