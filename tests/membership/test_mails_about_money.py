"""Mails about money: to the address for bills, said by billing, with no link in them."""

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


def test_low_credits_are_mailed_to_the_address_for_bills(world):
    world.hear(low())
    (mail,) = world.post()
    assert (mail["To"], mail["Subject"]) == (BILLS, "Acme Ltd is running low on credits")
    text = mail.get_content()
    assert "14.50 SGD" in text and "20.00 SGD" in text
    assert "http" not in text and "org_" not in text and "{" not in text


def test_a_top_up_to_be_paid_is_mailed(world):
    world.hear(wanted())
    (mail,) = world.post()
    assert (mail["To"], mail["Subject"]) == (BILLS, "Payment due: automatic top-up for Acme Ltd")
    text = mail.get_content()
    assert "5000 JPY by bank transfer" in text and "-12 JPY" in text
    assert "http" not in text and "{" not in text


def test_carried_twice_it_is_mailed_once(world):
    with world.database.transaction() as session:
        outbox.publish(session, low())
    with world.database.reading() as session:
        body = session.scalars(select(outbox.OutboxRow.body)).one()
    for _ in range(3):
        world.inbox.receive(body)
    assert world.inbox.dead_letters() == []
    assert len(world.post()) == 1


def test_each_time_they_run_low_is_a_mail(world):
    world.hear(low())
    world.hear(low(usable_credits="7.00"))
    assert len(world.post()) == 2


@pytest.mark.parametrize("message", [low(email=None), wanted(email=None)])
def test_where_there_is_no_address_for_bills_nothing_is_mailed(world, message):
    world.hear(message)
    assert world.post() == []


@pytest.mark.parametrize("erased", [False, True])
def test_an_organization_that_is_gone_gets_no_mail(world, erased):
    organization_id, _ = world.owner()
    sent = len(world.post())
    world.hear(org.EndAccess(organization_id=organization_id, deletion_id="d1"))
    if erased:
        world.hear(org.EraseMembers(organization_id=organization_id, deletion_id="d1"))
    world.hear(low(organization_id))
    assert len(world.post()) == sent


def test_a_name_cannot_fill_in_the_mail_or_add_a_header(world):
    world.hear(low(name="{threshold}\r\nBcc: all@world.example"))
    (mail,) = world.post()
    assert mail["Bcc"] is None and "{threshold} Bcc" in mail["Subject"]


def test_it_takes_no_token_and_does_not_count_as_a_link(world):
    for _ in range(8):
        world.hear(low(email="olga@customer.example"))
    world.owner()
    with world.database.reading() as session:
        assert len(session.scalars(select(models.MailedToken)).all()) == 1
