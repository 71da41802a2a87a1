"""Messages that billing consumes: opening, freezing, closing, sealing, reopening."""

from contextlib import contextmanager
from datetime import timedelta

import pytest
from billing import actions, jobs
from billing.listeners import LISTENERS
from billing.models import Account, Provider
from billing.values import parse_money
from chassis import audit
from chassis.audit import AuditEntry
from chassis.messaging import listeners, outbox
from chassis.messaging.envelope import Envelope
from chassis.messaging.inbox import RETRY_AFTER, Inbox
from chassis.messaging.outbox import OutboxRow
from chassis.runtime import clock, ids
from contracts import membership, org
from contracts.message import every_message
from sqlalchemy import event, select, text

pytestmark = pytest.mark.both_databases


@pytest.fixture
def consume(world):
    def consume(message):
        kind = type(message)
        envelope = Envelope(
            id=ids.new("evt"),
            source=f"/{kind.producer()}",
            type=kind.TYPE,
            aggregate=message.aggregate,
            version=1,
            correlation="",
            now=clock.now(),
        )
        with world.database.transaction() as session:
            listeners.call(LISTENERS[kind], session, envelope, kind.load(message.dump()))

    return consume


def opening(world, **other):
    standard = {
        "organization_id": ids.new("org"),
        "provider_id": world.provider_id,
        "name": "Acme",
        "country": "SG",
        "currency": "SGD",
        "timezone": "Asia/Singapore",
        "payment_mode": "prepaid",
        "credit_limit": None,
        "billing": {"email": "b@acme.example"},
        "buyer_tags": {},
    }
    return org.OpenAccount(**{**standard, **other})


def _suspension(world, organization_id):
    """The message as org sends it."""
    message = org.OrganizationSuspended(
        organization_id=organization_id, provider_id=world.provider_id
    )
    with world.database.transaction() as session:
        message_id = outbox.publish(session, message)
    with world.database.transaction() as session:
        row = session.scalars(select(OutboxRow).where(OutboxRow.id == message_id)).one()
        session.delete(row)
        return row.body


@contextmanager
def locks_are_soon_lost(database):
    """Statements wait for locks only briefly."""

    def wait_briefly(connection):
        connection.exec_driver_sql("SET LOCAL lock_timeout = '20ms'")

    event.listen(database.engine, "begin", wait_briefly)
    try:
        yield
    finally:
        event.remove(database.engine, "begin", wait_briefly)


def read(world, organization_id):
    with world.database.reading() as session:
        return session.get_one(Account, organization_id)


def last(world, organization_id):
    return world.published(organization_id)[-1]


def test_every_message_for_billing_has_a_listener():
    assert set(LISTENERS) == {kind for kind in every_message() if "billing" in kind.CONSUMERS}


def test_an_account_is_opened_once_and_published_for_every_request(world, consume):
    message = opening(world, payment_mode="postpaid", credit_limit="250.5")
    consume(message)
    assert last(world, message.organization_id) == (
        "account_opened",
        {"organization_id": message.organization_id},
    )
    world.charge(message.organization_id, "1")
    consume(message)
    assert last(world, message.organization_id)[0] == "account_opened"
    shown = world.account(message.organization_id)
    assert (shown["payment_mode"], shown["credit_limit"], shown["balance"]) == (
        "postpaid",
        "250.50",
        "-1.00",
    )


def test_what_invoices_print_is_copied(world, consume):
    customer = world.open()
    consume(
        org.OrganizationChanged(
            organization_id=customer,
            provider_id=world.provider_id,
            name="New",
            billing={"city": "Bonn"},
            buyer_tags={"TypeRef": "x"},
            managed_by="provider",
        )
    )
    account = read(world, customer)
    assert (account.name, account.billing, account.buyer_tags) == (
        "New",
        {"city": "Bonn"},
        {"TypeRef": "x"},
    )


def test_a_providers_own_changes_are_stored(world, consume):
    consume(
        org.OrganizationChanged(
            organization_id=world.provider_id,
            provider_id=world.provider_id,
            name="New",
            billing={"city": "Bonn"},
            buyer_tags={},
            managed_by="provider",
        )
    )
    with world.database.reading() as session:
        provider = session.get_one(Provider, world.provider_id)
    assert (provider.name, provider.billing) == ("New", {"city": "Bonn"})


def test_a_provider_and_its_settings_are_stored_in_any_order(world, consume):
    provider = ids.new("org")
    consume(
        org.SettingsChanged(provider_id=provider, version=7, settings={"payment_terms_days": 14})
    )
    consume(
        org.SettingsChanged(provider_id=provider, version=6, settings={"payment_terms_days": 30})
    )
    assert [data for name, data in world.published(provider) if name == "settings_applied"] == [
        {"provider_id": provider, "version": 7},
        {"provider_id": provider, "version": 6},
    ]
    owner = membership.Owner(
        member_id=ids.new("mem"),
        given_name="A",
        family_name="B",
        email="a@b.example",
        verified=True,
    )
    consume(
        membership.ProviderCreated(
            organization_id=provider,
            name="P",
            country="JP",
            currency="JPY",
            timezone="Asia/Tokyo",
            owner=owner,
        )
    )
    with world.database.reading() as session:
        row = session.get_one(Provider, provider)
        assert (row.currency, row.settings_version) == ("JPY", 7)
        assert row.settings == {"payment_terms_days": 14}
    wallet = world.call("GET", "/v1/wallet", token=world.token(org=provider)).json
    assert wallet["data"] == [
        {"currency": "JPY", "balance": "0", "customers_balance": "0", "usable": "0"}
    ]


def test_suspension_freezes_and_reopening_unfreezes(world, consume):
    customer = world.open()
    consume(org.OrganizationSuspended(organization_id=customer, provider_id=world.provider_id))
    assert (world.account(customer)["status"], last(world, customer)[1]["status"]) == (
        "frozen",
        "frozen",
    )
    for _ in range(2):
        consume(org.ReopenAccount(organization_id=customer, conversation_id="c1", frozen=False))
        assert last(world, customer) == (
            "account_reopened",
            {"organization_id": customer, "conversation_id": "c1"},
        )
    assert world.account(customer)["status"] == "open"


def test_billing_confirms_a_suspension_also_if_it_was_applied_before(world, consume):
    customer = world.open()
    confirmed = ("account_frozen", {"organization_id": customer, "conversation_id": "c1"})
    for _ in range(2):
        consume(org.FreezeAccount(organization_id=customer, conversation_id="c1"))
        assert last(world, customer) == confirmed
    assert world.account(customer)["status"] == "frozen"


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_suspension_that_meets_a_locked_account_is_applied_once_it_is_free(world):
    """However often it is tried, and the suspensions of others do not wait for it."""
    locked, other = world.open(), world.open()
    inbox = Inbox(world.database, LISTENERS)
    suspensions = [_suspension(world, customer) for customer in (locked, other)]
    dead_before = inbox.dead_letters()
    with locks_are_soon_lost(world.database), world.database.transaction() as session:
        session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        session.execute(select(Account).filter_by(organization_id=locked).with_for_update())
        for body in suspensions:
            inbox.receive(body, published_by="org", redelivered=True)
        for _ in range(len(RETRY_AFTER) + 1):
            inbox.retry_due(clock.now() + RETRY_AFTER[-1])
        assert [world.account(customer)["status"] for customer in (locked, other)] == [
            "open",
            "frozen",
        ]

    inbox.retry_due(clock.now() + RETRY_AFTER[-1])

    assert world.account(locked)["status"] == "frozen"
    assert inbox.dead_letters() == dead_before


@pytest.mark.parametrize("frozen", [False, True])
def test_an_empty_account_closes_once_and_reopens_in_the_requested_status(world, consume, frozen):
    customer = world.open(limit="100")
    world.top_up(customer, "5")
    world.withdraw(customer, "5")
    for _ in range(2):
        consume(org.CloseAccount(organization_id=customer, deletion_id="d1"))
        assert last(world, customer) == (
            "account_closed",
            {"organization_id": customer, "deletion_id": "d1"},
        )
    assert read(world, customer).closed_from == "open"
    consume(org.OrganizationSuspended(organization_id=customer, provider_id=world.provider_id))
    assert world.account(customer)["status"] == "closed"
    consume(org.ReopenAccount(organization_id=customer, conversation_id="c1", frozen=frozen))
    assert world.account(customer)["status"] == ("frozen" if frozen else "open")
    actions_heard = [
        data["action"] for name, data in world.published(customer) if name == "audit_recorded"
    ]
    assert actions_heard[-2:] == ["account.closed", "account.reopened"]


@pytest.mark.parametrize(
    ("mode", "figures", "blockers"),
    [
        ("prepaid", {"prepaid": "0.000001"}, {"credits_left": "0.000001"}),
        ("prepaid", {"prepaid": "-5"}, {"amount_due": "5.00"}),
        ("prepaid", {"prepaid": "3", "held": "3"}, {"credits_reserved": "3.00"}),
        ("prepaid", {"in_flight": "7"}, {"payment_in_flight": "7.00"}),
        ("postpaid", {"unbilled": "0.000001"}, {"unbilled_amount": "0.000001"}),
        ("postpaid", {"invoiced": "5"}, {"amount_due": "5.00"}),
        ("postpaid", {"surplus": "5"}, {"overpaid": "5.00"}),
        ("postpaid", {"held": "5"}, {"credits_reserved": "5.00"}),
        ("postpaid", {"surplus": "5", "invoiced": "5"}, {"amount_due": "5.00", "overpaid": "5.00"}),
    ],
)
def test_a_nonempty_account_stays_open_and_publishes_its_blockers(
    world, consume, mode, figures, blockers
):
    customer = world.open(mode, limit="10")
    with world.database.transaction() as session:
        account = session.get_one(Account, customer)
        for name, amount in figures.items():
            setattr(account, name, parse_money(amount, signed=True))
    expected = [
        {"code": code, "amount": amount, "currency": "SGD"} for code, amount in blockers.items()
    ]
    consume(org.CloseAccount(organization_id=customer, deletion_id="d1"))
    assert last(world, customer) == (
        "account_not_closed",
        {"organization_id": customer, "deletion_id": "d1", "blockers": expected},
    )
    assert world.account(customer)["status"] == "open"
    consume(org.SealAccount(organization_id=customer, deletion_id="d1"))
    assert last(world, customer)[0] == "account_not_sealed"
    assert last(world, customer)[1]["blockers"] == expected


def test_only_a_closed_account_is_sealed_permanently(world, consume):
    customer = world.open()
    seal = org.SealAccount(organization_id=customer, deletion_id="d1")
    consume(seal)
    assert last(world, customer)[0] == "account_not_sealed"
    consume(org.CloseAccount(organization_id=customer, deletion_id="d1"))
    for _ in range(2):
        consume(seal)
        assert last(world, customer) == (
            "account_sealed",
            {"organization_id": customer, "deletion_id": "d1"},
        )
    consume(org.CloseAccount(organization_id=customer, deletion_id="d1"))
    assert last(world, customer)[0] == "account_closed"
    consume(org.ReopenAccount(organization_id=customer, conversation_id="c", frozen=False))
    assert last(world, customer)[0] == "account_closed"
    assert (read(world, customer).status, world.account(customer)["status"]) == ("sealed", "closed")


def test_the_end_of_a_temporary_limit_publishes_the_balance(world):
    customer, now = world.open(limit="10"), clock.now()
    patch = {"credit_limit": parse_money("90"), "credit_limit_expires_at": now + timedelta(hours=1)}
    world.act(
        actions.change_account, organization_id=customer, patch=patch, check=lambda terms: None
    )
    assert world.last_published(customer, "balance_changed")["credit_limit"] == "90.00"
    jobs.expire_credit_limits(world.database, now, None)
    assert world.last_published(customer, "balance_changed")["credit_limit"] == "90.00"
    jobs.expire_credit_limits(world.database, now + timedelta(hours=1), None)
    assert world.last_published(customer, "balance_changed")["credit_limit"] == "10.00"
    assert jobs.expire_credit_limits(world.database, now + timedelta(hours=1), None) == 0


def test_an_erased_person_is_not_named_in_the_audit_log(world, consume):
    organization_id, person = world.open(), ids.new("idn")
    body = {"amount": "5", "method": "cash"}
    done = world.post(organization_id, "top-ups", body, token=world.token(sub=person, name="Mia"))
    assert done.status_code == 201, done.text
    erased = membership.PeopleErased(erasure_id=ids.new("era"), people=[person])

    for _ in range(2):
        consume(erased)

    with world.database.reading(snapshot=True) as session:
        assert list(audit.verify(session, organization_id)) == []
        rows = select(AuditEntry).where(AuditEntry.organization_id == organization_id)
        by = {row.action: row.actor for row in session.scalars(rows)}
    assert by["account.topped_up"]["label"] == "Removed person"
    assert by["account.topped_up"]["id"] == person
    assert by["account.opened"]["label"] == "System"
    assert jobs.erase_people(world.database, clock.now(), None) == 0
