"""A metering service outside the system: publishes usage records in bulk, each confirmed by the
broker.

``python -m tests.metering URL COUNT PROVIDER ORGANIZATION...`` publishes that many, taking turns
among the organizations.
"""

import json
import sys
import time
from collections.abc import Iterable
from typing import Any

import amqp
from chassis.messaging import broker, publisher
from chassis.runtime import clock, ids
from contracts import usage

WINDOW = 2000
AT = clock.stamp(clock.now())


def record(
    provider_id: str, organization_id: str, id_: str, amount: str = "0.01", **more: Any
) -> dict[str, Any]:
    """A usage record."""
    return {
        "provider_id": provider_id,
        "organization_id": organization_id,
        "id": id_,
        "amount": amount,
        "at": AT,
        "description": "Calls",
        **more,
    }


def message(data: dict[str, Any], **other: Any) -> bytes:
    """A record in its envelope, as bytes on the wire; ``other`` replaces attributes of it."""
    envelope = {
        "specversion": "1.0",
        "id": ids.new("evt"),
        "source": "/usage",
        "type": usage.Recorded.TYPE,
        "sequence": "1",
        "subject": str(data.get("organization_id", "nobody"))[:64],
        "time": "2026-03-01T12:00:00Z",
        "datacontenttype": "application/json",
        "data": data,
    }
    return json.dumps({**envelope, **other}).encode()


def publish(url: str, bodies: Iterable[bytes], *, user: str | None = "usage") -> int:
    """Publish to the exchange `usage`; returns how many, once the broker has confirmed each."""
    connection = broker.connect(url, "metering")
    try:
        channel = connection.channel()
        channel.confirm_select()
        unconfirmed: set[int] = set()
        sent = 0

        def confirmed(tag: int, multiple: bool) -> None:
            done = {t for t in unconfirmed if t <= tag} if multiple else {tag}
            unconfirmed.difference_update(done)

        def refused(*_: Any) -> None:
            raise AssertionError("the broker refused a message")

        channel.events["basic_ack"].add(confirmed)
        channel.events["basic_nack"].add(refused)
        channel.events["basic_return"].add(refused)
        for body in bodies:
            sent += 1
            unconfirmed.add(sent)
            properties = {
                "delivery_mode": 2,
                "content_type": publisher.CONTENT_TYPE,
                **({"user_id": user} if user else {}),
            }
            channel.basic_publish(
                amqp.Message(body, **properties),
                exchange="usage",
                routing_key=usage.Recorded.TYPE,
                mandatory=True,
            )
            while len(unconfirmed) >= WINDOW:
                connection.drain_events(timeout=120)
        while unconfirmed:
            connection.drain_events(timeout=120)
        return sent
    finally:
        connection.collect()


if __name__ == "__main__":
    url_, count, provider, *organizations = sys.argv[1:]
    began = time.monotonic()
    publish(
        url_,
        (
            message(record(provider, organizations[n % len(organizations)], ids.new("evt")))
            for n in range(int(count))
        ),
    )
    print(f"{int(count) / (time.monotonic() - began):.0f} records/s published")
