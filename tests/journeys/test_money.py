"""Money through the public address, in embedded and in distributed mode."""

import email
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import policy
from pathlib import Path
from typing import Any

import pytest
from billing import queries
from chassis.db.database import Database
from chassis.messaging import broker
from chassis.runtime import clock
from devtools.demo.api import Answer, Api
from devtools.processes import System
from devtools.servers import RabbitMQ

from tests import customers, metering
from tests.customers import transact
from tests.embedded import Embedded
from tests.journeys.money import figures, get, post, settings, transacted, usage
from tests.journeys.postpaid import (
    charge_usage,
    credit_and_refund,
    delete_the_customer,
    pay_the_first_invoice,
    void_an_invoice,
)
from tests.waiting import until


@dataclass
class Target:
    """A running system, as seen from outside. ``database``: the URL of billing's."""

    address: str
    password: str
    mails: Path
    database: str

    def sign_in(self) -> Api:
        return customers.sign_in_as_admin(self.address, self.password)

    def subjects(self, address: str) -> list[str]:
        """The subjects of the mails to this address."""
        read = (
            email.message_from_bytes(path.read_bytes(), policy=policy.default)
            for path in self.mails.glob("*.eml")
        )
        return [str(mail["Subject"]) for mail in read if address in str(mail["To"])]


@pytest.fixture(
    scope="module",
    params=["embedded", pytest.param("processes", marks=pytest.mark.exhaustive)],
)
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    if request.param == "processes":
        distributed: System = request.getfixturevalue("system")
        database = distributed.database_url("billing")
        yield Target(distributed.address, distributed.password, distributed.mail, database)
        return
    system = Embedded(tmp_path_factory.mktemp("embedded"))
    system.start()
    try:
        var = system.folder / "var"
        yield Target(system.address, system.password, var / "mail", f"sqlite:///{var}/billing.db")
    finally:
        system.kill()


@pytest.fixture
def api(target: Target) -> Api:
    return target.sign_in()


def test_usage_is_consumed_from_the_broker(system: System, rabbitmq: RabbitMQ) -> None:
    api = Api(system.address)
    provider = api.sign_in("admin@example.com", system.password).body["organization"]["id"]
    path = customers.open_customer(api)
    org = path.rpartition("/")[2]
    transacted(api, path, "top-ups", "10")
    with broker.connect(rabbitmq.url(), "test") as connection:
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).queue
        channel.queue_bind(queue, "billing", "billing.usage_refused.v1")

        metering.publish(
            system.broker_url("usage"),
            [
                metering.message(metering.record(provider, org, f"{org}-{n}", "0.02"))
                for n in [*range(300), *range(50)]
            ],
        )
        until(lambda: figures(api, path, "balance") == ("4.00",))
        metering.publish(
            system.broker_url("usage"),
            [
                metering.message(metering.record(provider, org, f"{org}-much", "4.01")),
                metering.message(metering.record(provider, org, f"{org}-last", "4")),
            ],
        )
        refusal = json.loads(until(lambda: channel.basic_get(queue, no_ack=True)).body)["data"]

    assert (refusal["record_id"], refusal["organization_id"], refusal["code"]) == (
        f"{org}-much",
        org,
        "insufficient_credits",
    )
    until(lambda: figures(api, path, "balance") == ("0.00",))


def test_a_postpaid_customer_from_usage_to_deletion(api: Api) -> None:
    tax = [{"country": "CH", "name": "MWST", "rate": "8.1", "valid_from": "2024-01-01"}]
    with settings(api, tax_rates=tax, payment_terms_days=14, deletion_grace_days=0):
        path = customers.open_customer(
            api,
            country="CH",
            currency="CHF",
            timezone="Europe/Zurich",
            payment_mode="postpaid",
            credit_limit="1000",
        )
        charge_id = charge_usage(api, path)
        first = pay_the_first_invoice(api, path)
        second = credit_and_refund(api, path, charge_id, first)
        void_an_invoice(api, path, second)
        delete_the_customer(api, path)
        assert get(api, f"{path}/invoices/{first}")["status"] == "paid"


def test_a_prepaid_customer_reserves_and_gets_remedies(api: Api) -> None:
    path = customers.open_customer(api)
    held = f"{path}/account/reservations"
    transacted(api, path, "top-ups", "100")

    first = post(api, held, {"amount": "30", "description": "A call"})
    assert figures(api, path, "balance", "reserved_credits", "usable_credits") == (
        "70.00",
        "30.00",
        "70.00",
    )
    part = post(api, f"{held}/{first['id']}/capture", {"amount": "4.5", "final": False}, 200)
    assert (part["status"], part["captured"]) == ("open", "4.50")
    done = post(api, f"{held}/{first['id']}/capture", {"amount": "8"}, 200)
    assert (done["status"], done["captured"], done["released"]) == ("captured", "12.50", "17.50")
    second = post(api, held, {"amount": "10", "description": "Another"})
    assert post(api, f"{held}/{second['id']}/release", {}, 200)["status"] == "released"
    assert figures(api, path, "balance", "reserved_credits") == ("87.50", "0.00")

    short = post(api, held, {"amount": "20", "description": "Forgotten", "expires_in": 1})
    until(
        lambda: any(
            row["kind"] == "expiry" for row in get(api, f"{path}/account/transactions")["data"]
        )
    )
    assert get(api, f"{held}/{short['id']}")["status"] == "expired"
    assert figures(api, path, "balance", "reserved_credits") == ("87.50", "0.00")
    late = api.call("POST", f"{held}/{short['id']}/capture", {}, key=secrets.token_hex(8))
    assert (late.status, late.body["code"]) == (410, "reservation_expired")

    refused = transact(api, path, "charges", "100", key="twice")
    assert (refused.status, refused.body["code"], refused.body["shortfall"]) == (
        409,
        "insufficient_credits",
        "12.50",
    )
    transacted(api, path, "top-ups", refused.body["cure"]["top_up"])
    assert transact(api, path, "charges", "100", key="twice") == Answer(
        **{**vars(refused), "replayed": True}
    )
    assert transacted(api, path, "charges", "100")["balance_after"] == "0.00"

    transacted(api, path, "top-ups", "60")
    holding = post(api, held, {"amount": "50", "description": "Holding"})
    refused = transact(api, path, "charges", "30")
    assert (refused.body["shortfall"], refused.body["freed_at"]) == ("20.00", holding["expires_at"])
    (free,) = refused.body["reservations"]
    assert (free["id"], free["frees"], free["expires_at"]) == (
        holding["id"],
        "50.00",
        holding["expires_at"],
    )
    post(api, f"{held}/{free['id']}/release", {}, 200)
    assert transacted(api, path, "charges", "30")["balance_after"] == "30.00"

    limited = transact(api, path, "charges", "130")
    limit = {"credit_limit": limited.body["cure"]["credit_limit"]}
    assert api.call("PATCH", f"{path}/account", limit).status == 200
    assert transacted(api, path, "charges", "130")["balance_after"] == "-100.00"


def test_low_credits_are_notified_once_and_topped_up_automatically(
    target: Target, api: Api
) -> None:
    address = f"bills-{secrets.token_hex(6)}@customer.example"
    path = customers.open_customer(
        api, country="NO", currency="NOK", timezone="Europe/Oslo", billing={"email": address}
    )
    post(api, "/v1/wallet/top-ups", {"amount": "1000", "currency": "NOK"})
    transacted(api, path, "top-ups", "100")
    wanted = {"auto_top_up": {"enabled": True, "amount": "50", "method": "issue"}}
    assert api.call("PATCH", f"{path}/account", wanted).body["auto_top_up"]["threshold"] == "20.00"

    transacted(api, path, "charges", "85")

    until(lambda: figures(api, path, "usable_credits") == ("65.00",))
    (topped_up,) = [
        row
        for row in get(api, f"{path}/account/transactions?kind=top_up")["data"]
        if row["method"] == "issue"
    ]
    assert (topped_up["amount"], topped_up["remark"]) == ("50.00", "Automatic top-up")
    until(lambda: target.subjects(address))
    transacted(api, path, "charges", "1")
    transacted(api, path, "charges", "63")  # a second crossing, and no second top-up on this day
    until(lambda: len(target.subjects(address)) == 2)
    assert all("running low" in subject for subject in target.subjects(address))
    assert figures(api, path, "usable_credits") == ("1.00",)


def test_the_providers_wallet_follows_the_example(api: Api) -> None:
    """domain.md section 10.2, without the two rows that need a card."""

    def wallet() -> tuple[str, ...]:
        (purse,) = [row for row in get(api, "/v1/wallet")["data"] if row["currency"] == "SEK"]
        return purse["balance"], purse["customers_balance"], purse["usable"]

    path = customers.open_customer(api, country="SE", currency="SEK", timezone="Europe/Stockholm")
    for amount in ("2000", "4000"):
        post(api, "/v1/wallet/top-ups", {"amount": amount, "currency": "SEK"})
    assert wallet() == ("6000.00", "0.00", "6000.00")
    transacted(api, path, "top-ups", "200", method="cheque")
    assert wallet() == ("6000.00", "200.00", "5800.00")
    transacted(api, path, "top-ups", "300", method="issue")
    assert wallet() == ("6000.00", "500.00", "5500.00")
    card = transact(api, path, "top-ups", "1000", method="card")
    assert (card.status, card.body["code"]) == (409, "payment_method_missing")
    transacted(api, path, "charges", "50", cost="10")
    assert wallet() == ("5990.00", "450.00", "5540.00")
    transacted(api, path, "withdrawals", "200", method="cheque")
    assert wallet() == ("5990.00", "250.00", "5740.00")
    bought = transacted(api, path, "charges", "100", cost="30")
    assert wallet() == ("5960.00", "150.00", "5810.00")
    post(api, f"{path}/account/refunds", {"transaction_id": bought["id"], "reason": "Not wanted"})
    assert wallet() == ("5990.00", "250.00", "5740.00")
    issued = transact(api, path, "top-ups", "5740.01", method="issue")
    assert (issued.status, issued.body["code"], issued.body["shortfall"]) == (
        409,
        "provider_credits_insufficient",
        "0.01",
    )


def test_the_list_follows_and_the_timeline_omits_usage(api: Api) -> None:
    path = customers.open_customer(api)
    transacted(api, path, "top-ups", "50")

    def follows(usable: str) -> Callable[[], bool]:
        def look() -> bool:
            (row,) = get(api, f"/v1/organizations?q={path.rpartition('/')[2]}")["data"]
            return bool(row["summary"]["usable_credits"] == row["summary"]["balance"] == usable)

        return look

    until(follows("50.00"))
    until(lambda: "account.topped_up" in customers.actions(api, path))
    before = customers.actions(api, path)
    assert post(api, "/v1/usage", {"records": usage(path, 200)}, 200)["accepted"] == 200
    until(follows("30.00"))
    transacted(api, path, "charges", "5")
    until(follows("25.00"))
    held = post(api, f"{path}/account/reservations", {"amount": "10", "description": "A call"})
    until(follows("15.00"))
    post(api, f"{path}/account/reservations/{held['id']}/capture", {"amount": "1"}, 200)
    until(follows("24.00"))
    transacted(api, path, "charges", "4", kind="one_off")
    until(lambda: "account.charged" in customers.actions(api, path))
    assert customers.actions(api, path) == ["account.charged", *before]


def test_the_ledger_passes_an_audit_afterwards(target: Target, api: Api) -> None:
    provider_id = api.call("GET", "/v1/me").body["organization"]["id"]
    database = Database(target.database)
    try:
        with database.reading(snapshot=True) as session:
            batches = [queries.audit_batch(session, provider_id)]
            while after := batches[-1].last:
                batches.append(queries.audit_batch(session, provider_id, after=after))
    finally:
        database.close()

    assert [batch.discrepancies for batch in batches] == [[]] * len(batches)
    assert sum(batch.accounts for batch in batches) >= 5
    assert sum(batch.entries for batch in batches) > 1000


@pytest.mark.exhaustive  # it waits until the next audit is due
def test_the_periodic_audit_passes_afterwards(api: Api) -> None:
    began = clock.stamp(clock.now())

    def passed() -> dict[str, Any] | None:
        response = api.call("GET", "/v1/ledger/proof")
        done = response.status == 200 and response.body["started_at"] > began
        return response.body if done else None

    proof = until(passed, every=0.5)  # one comes each minute
    assert (proof["status"], proof["discrepancies"]) == ("passed", []), proof
    assert proof["accounts"] >= 5 and proof["entries"] > 1000
    for currency in proof["trial_balance"]:
        debits, credits_ = (
            [entry[side] for entry in currency["accounts"]] for side in ("debit", "credit")
        )
        assert sum(map(_millionths, debits)) == sum(map(_millionths, credits_)), currency


def _millionths(amount: str) -> int:
    whole, _, part = amount.partition(".")
    return int(whole + part.ljust(6, "0"))
