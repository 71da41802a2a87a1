"""Usage that came as messages: recorded like any other, and each refusal is said."""

from collections.abc import Sequence
from datetime import datetime

from chassis.messaging import outbox
from contracts import billing as said
from sqlalchemy.orm import Session

from billing.actions.usage.records import ACCEPTED, DUPLICATE, UsageRecord, record_usage
from billing.values import format_money

_UNKNOWN = ""  # the currency: there may be no account to ask


def record_usage_messages(
    session: Session, records: Sequence[UsageRecord], now: datetime
) -> list[int]:
    """Record the usage and say each refusal; answers the positions of the refused ones.

    What was posted or had been before is not answered: ``record_usage`` makes it safe to send it
    again."""
    outcomes = record_usage(session, records=records, now=now)
    refused = [n for n, outcome in enumerate(outcomes) if outcome not in (ACCEPTED, DUPLICATE)]
    for n in refused:
        record = records[n]
        outbox.publish(
            session,
            said.UsageRefused(
                organization_id=record.organization_id,
                provider_id=record.provider_id,
                record_id=record.id,
                code=outcomes[n],
                amount=format_money(record.amount, _UNKNOWN),
            ),
        )
    return refused
