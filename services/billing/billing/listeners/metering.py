"""Usage records of metering services, consumed in batches."""

from collections.abc import Mapping
from typing import Any

from chassis.errors import Invalid
from chassis.messaging.batches import Batch
from chassis.runtime import clock, ids
from contracts import Message, usage

from billing import actions, schemas

_ADMISSIONS = {None: False, "limit": False, "always": True}


def read(message: usage.Recorded) -> Any:
    """The record in the message. Raises Invalid."""
    if not ids.is_id("org", message.provider_id):
        raise Invalid("invalid_provider_id")
    if message.admission not in _ADMISSIONS:
        raise Invalid("invalid_admission")
    record = {
        "id": message.id,
        "organization_id": message.organization_id,
        "amount": message.amount,
        "at": message.at,
        "description": message.description,
    }
    if message.cost is not None:
        record["cost"] = message.cost
    try:
        return schemas.read_record(
            record,
            provider_id=message.provider_id,
            always=_ADMISSIONS[message.admission],
            now=clock.now(),
        )
    except schemas.BadRecord as problem:
        raise Invalid(problem.code) from problem


BATCHES: Mapping[type[Message], Batch] = {
    usage.Recorded: Batch(read=read, apply=actions.record_usage_messages)
}
