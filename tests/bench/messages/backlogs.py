"""The messages that wait when a measurement begins, published as in production."""

import random
import secrets
from collections.abc import Iterator
from typing import Any

from chassis.runtime import clock, ids
from contracts import Message, billing, org

from tests import metering
from tests.bench.messages.environment import Environment

# Customers whose messages for billing are mixed.
_GROUP = 100
_BILLED = {"name": "Harbour Clinic", "email": "bills@acme.example", "address": None, "city": None}


def publish_balances(environment: Environment, count: int) -> int:
    """Clear everything, then publish balances to org."""
    environment.clear()
    return environment.publish("billing", _balances(environment, count))


def publish_commands(environment: Environment, count: int) -> int:
    """Clear everything, then publish to billing what org has to tell it."""
    environment.clear()
    return environment.publish("org", _commands(environment.provider_id, count))


def publish_usage(environment: Environment, count: int) -> int:
    """Clear everything, then publish usage records to billing."""
    environment.clear()
    tag = secrets.token_hex(4)
    bodies = (
        metering.message(
            metering.record(
                environment.provider_id, random.choice(environment.organizations), f"{tag}-{number}"
            )
        )
        for number in range(count)
    )
    return metering.publish(environment.system.broker_url("usage"), bodies)


def _balances(environment: Environment, count: int) -> Iterator[Message]:
    """Figures of customers in random order, as billing publishes them after charges."""
    for _ in range(count):
        figure = f"{random.randrange(10**6)}.{random.randrange(100):02}"
        yield billing.BalanceChanged(
            organization_id=random.choice(environment.organizations),
            provider_id=environment.provider_id,
            currency="EUR",
            payment_mode="prepaid",
            status="open",
            usable_credits=figure,
            balance=figure,
            credit_limit="0.00",
            reserved_credits="0.00",
            amount_due="0.00",
            days_to_empty=random.randrange(400),
            as_of=clock.stamp(clock.now()),
        )


def _commands(provider_id: str, count: int) -> Iterator[Message]:
    """The lives of new customers from opening to closing, of a hundred at a time."""
    published = 0
    while published < count:
        lives = [list(_life(provider_id, ids.new("org"))) for _ in range(_GROUP)]
        for step in zip(*lives, strict=True):
            yield from step
            published += len(step)


def _life(provider_id: str, organization_id: str) -> Iterator[Message]:
    of = {"organization_id": organization_id}
    shown: dict[str, Any] = {
        **of,
        "provider_id": provider_id,
        "name": "Harbour Clinic",
        "billing": _BILLED,
        "buyer_tags": {},
    }
    suspension = {**of, "conversation_id": ids.new("cnv")}
    yield org.OpenAccount(
        **shown, country="DE", currency="SGD", timezone="Europe/Berlin", payment_mode="prepaid"
    )
    for managed_by in ("customer", "provider"):
        yield org.OrganizationChanged(**shown, managed_by=managed_by)
    yield org.OrganizationSuspended(**of, provider_id=provider_id)
    yield org.FreezeAccount(**suspension)
    yield org.ReopenAccount(**suspension, frozen=False)
    yield org.CloseAccount(**of, deletion_id=ids.new("del"))
