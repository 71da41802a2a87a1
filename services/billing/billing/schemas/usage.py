"""Usage records. They come by the thousand, so each is read by hand; the schema says the same to
people."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import marshmallow as ma
from chassis.http.fields import Stamp, Text, TypeId
from chassis.runtime import ids

from billing import values
from billing.actions.usage.records import UsageRecord
from billing.schemas.fields import Money

MAX_RECORDS = 10_000
_MAX_ID_LENGTH = 128
_FIELDS = {"id", "organization_id", "amount", "at", "description", "cost"}
_NEEDED = _FIELDS - {"cost"}
_TEXT, _STAMP = Text(most=255), Stamp()


class BadRecord(ValueError):
    """A usage record that can't be read. ``code`` says what is wrong with it; ``id``: its own,
    where it has one."""

    def __init__(self, code: str, record_id: str | None) -> None:
        self.code, self.id = code, record_id
        super().__init__(code)


def read_record(raw: object, *, provider_id: str, always: bool) -> UsageRecord:
    """The record in a JSON value. Raises BadRecord."""
    if not isinstance(raw, dict):
        raise BadRecord("invalid_record", None)
    record_id = raw.get("id")
    if not (
        isinstance(record_id, str)
        and 0 < len(record_id) <= _MAX_ID_LENGTH
        and record_id.isascii()
        and record_id.isprintable()
        and " " not in record_id
    ):
        raise BadRecord("invalid_id", None)
    if not raw.keys() >= _NEEDED or raw.keys() - _FIELDS:
        raise BadRecord("invalid_record", record_id)
    organization_id = raw["organization_id"]
    if not (isinstance(organization_id, str) and ids.is_id("org", organization_id)):
        raise BadRecord("organization_not_found", record_id)
    try:
        amount = values.parse_money(raw["amount"])
        cost = values.parse_money(raw["cost"], zero=True) if "cost" in raw else 0
    except values.InvalidMoney as problem:
        raise BadRecord("invalid_amount", record_id) from problem
    at, description = (
        _read(_at, raw, "at", record_id),
        _read(_description, raw, "description", record_id),
    )
    return UsageRecord(
        provider_id, record_id, raw["organization_id"], amount, at, description, cost, always
    )


def _read(read: Callable[[str], Any], raw: dict[str, Any], name: str, record_id: str) -> Any:
    try:
        if isinstance(raw[name], str):
            return read(raw[name])
    except ma.ValidationError as problem:
        raise BadRecord(f"invalid_{name}", record_id) from problem
    raise BadRecord(f"invalid_{name}", record_id)


# What many records of a batch have in common is read once.
@lru_cache(maxsize=2**12)
def _at(text: str) -> Any:
    return _STAMP.deserialize(text)


@lru_cache(maxsize=2**12)
def _description(text: str) -> Any:
    return _TEXT.deserialize(text)


@lru_cache(maxsize=2**16)
def _is_organization(text: str) -> bool:
    return ids.is_id("org", text)


class UsageRecordShown(ma.Schema):
    """What a customer used. ``id``: yours, 1 to 128 visible ASCII characters; it counts once for
    ever. ``at``: when it happened; ``cost``: what it costs you."""

    id = ma.fields.String(required=True)
    organization_id = TypeId("org", required=True)
    amount = Money(required=True)
    at = Stamp(required=True)
    description = Text(required=True, most=255)
    cost = Money(zero=True)


class Records(ma.fields.List[Any]):
    """A list of records that are looked at one by one later, so that a bad one is refused alone."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ma.ValidationError("invalid: Must be a list of records.")
        if not 1 <= len(value) <= MAX_RECORDS:
            raise ma.ValidationError(f"length: Must have 1 to {MAX_RECORDS} records.")
        return value


class Usage(ma.Schema):
    """``admission``: ``limit`` refuses what is not covered; ``always`` is for what has already happened."""

    records = Records(
        ma.fields.Nested(UsageRecordShown),
        required=True,
        metadata={"minItems": 1, "maxItems": MAX_RECORDS},
    )
    admission = ma.fields.String(
        load_default="limit", validate=ma.validate.OneOf(("limit", "always"))
    )


class RefusedRecord(ma.Schema):
    """A record that changed nothing; its id may be used again. ``index``: where in the list it
    stood."""

    id = ma.fields.String(required=True, allow_none=True)
    code = ma.fields.String(required=True)
    index = ma.fields.Integer(required=True)


class UsageOutcome(ma.Schema):
    """How many were posted now, how many had been before, and which were not."""

    accepted = ma.fields.Integer(required=True)
    duplicates = ma.fields.Integer(required=True)
    refused = ma.fields.List(ma.fields.Nested(RefusedRecord), required=True)
