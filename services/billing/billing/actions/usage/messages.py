"""Usage records that arrive as messages."""

from collections.abc import Sequence
from datetime import datetime

from chassis.auth.actor import Actor
from chassis.messaging import outbox
from contracts import billing as messages
from sqlalchemy.orm import Session

from billing.actions.usage.records import ACCEPTED, DUPLICATE, UsageRecord, record_usage
from billing.values import format_money

METERING = Actor(kind="system", id="usage", label="Metering")
_UNKNOWN_CURRENCY = ""  # there may be no account


def record_usage_messages(
    session: Session, records: Sequence[UsageRecord], now: datetime
) -> list[int]:
    """Record the usage and publish each refusal; returns the positions of the refused records.

    Accepted records and duplicates get no reply, because sending them again is safe.
    """
    outcomes = record_usage(session, records=records, now=now, by=METERING)
    refused = []
    for index, outcome in enumerate(outcomes):
        if outcome not in (ACCEPTED, DUPLICATE):
            refused.append(index)
    for index in refused:
        record = records[index]
        outbox.publish(
            session,
            messages.UsageRefused(
                organization_id=record.organization_id,
                provider_id=record.provider_id,
                record_id=record.id,
                code=outcomes[index],
                amount=format_money(record.amount, _UNKNOWN_CURRENCY),
            ),
        )
    return refused
