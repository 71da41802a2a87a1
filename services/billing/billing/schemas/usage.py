"""Usage records.

They arrive by the thousand, so they are parsed by hand; the schemas describe the same for people.
"""

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, TypeGuard

import marshmallow as ma
from chassis.http import instants
from chassis.http.fields import ErrorItem, Stamp, Text, TypeId
from chassis.runtime import ids

from billing import values
from billing.actions.usage.records import UsageRecord
from billing.schemas.fields import Money

MAX_RECORDS = 10_000
MAX_AGE, MAX_AHEAD = timedelta(days=400), timedelta(hours=1)
_MAX_ERRORS = 10  # of one record, which may have any number of unknown fields
_ID = re.compile("[!-~]{1,128}")
_NEEDED = {"id", "organization_id", "amount", "at", "description"}
_ALLOWED = _NEEDED | {"cost"}
_SHAPES = (_NEEDED, _ALLOWED)
_TEXT = Text(most=255)
_NOT_AN_INSTANT = "instant: Must be an instant like 2026-01-31T09:00:00Z."


class BadRecord(ValueError):
    """An invalid usage record.

    ``code``: what is wrong with it. ``id``: its id, if it has a valid one. ``fields``: for
    ``invalid_record``, what is wrong with which field, as marshmallow's messages; otherwise None.
    """

    def __init__(self, code: str, record_id: str | None, fields: Any = None) -> None:
        self.code, self.id, self.fields = code, record_id, fields
        super().__init__(code)


def read_record(raw: object, *, provider_id: str, always: bool, now: datetime) -> UsageRecord:
    """The record in a JSON value. Raises BadRecord."""
    if not isinstance(raw, dict):
        raise BadRecord("invalid_record", None, "object: Must be an object.")
    record_id = raw.get("id")
    if not _is_valid_id(record_id):
        raise BadRecord("invalid_id", None)
    if raw.keys() not in _SHAPES:
        raise BadRecord("invalid_record", record_id, _odd_fields(raw))
    organization_id = raw["organization_id"]
    if not (isinstance(organization_id, str) and ids.is_id("org", organization_id)):
        raise BadRecord("organization_not_found", record_id)
    try:
        amount = values.parse_money(raw["amount"])
        cost = values.parse_money(raw["cost"], zero=True) if "cost" in raw else 0
    except values.InvalidMoney as problem:
        raise BadRecord("invalid_amount", record_id) from problem
    at = _read_time(raw["at"], record_id, now)
    description = _read_description(raw["description"], record_id)
    return UsageRecord(
        provider_id, record_id, organization_id, amount, at, description, cost, always
    )


def _is_valid_id(record_id: object) -> TypeGuard[str]:
    return isinstance(record_id, str) and _ID.fullmatch(record_id) is not None


def _odd_fields(raw: dict[str, Any]) -> dict[str, str]:
    missing = dict.fromkeys(sorted(_NEEDED - raw.keys()), "Missing data for required field.")
    unknown = dict.fromkeys(raw.keys() - _ALLOWED, "Unknown field.")
    return dict(list({**missing, **unknown}.items())[:_MAX_ERRORS])


def _read_time(value: object, record_id: str, now: datetime) -> datetime:
    try:
        at = _at(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None:
        raise BadRecord("invalid_record", record_id, {"at": _NOT_AN_INSTANT})
    if not now - MAX_AGE <= at <= now + MAX_AHEAD:
        raise BadRecord("invalid_at", record_id)
    return at


def _read_description(value: object, record_id: str) -> str:
    try:
        if isinstance(value, str):
            return _description(value)
    except ma.ValidationError as problem:
        raise BadRecord("invalid_description", record_id) from problem
    raise BadRecord("invalid_description", record_id)


# Records of a batch often have the same values, which are then parsed once. Only valid values,
# whose length is limited, are kept.
@lru_cache(maxsize=2**12)
def _at(text: str) -> datetime:
    return instants.read(text)


@lru_cache(maxsize=2**12)
def _description(text: str) -> str:
    return str(_TEXT.deserialize(text))


class UsageRecordShown(ma.Schema):
    """Usage of a customer.

    ``id``: your id, 1 to 128 visible ASCII characters; it counts once, permanently. ``at``: when it
    happened, RFC 3339, from 400 days ago to an hour ahead. ``cost``: your cost.
    """

    id = ma.fields.String(required=True)
    organization_id = TypeId("org", required=True)
    amount = Money(required=True)
    at = Stamp(required=True)
    description = Text(required=True, most=255)
    cost = Money(zero=True)


class Records(ma.fields.List[Any]):
    """A list of records that are parsed one by one later, so that only invalid ones are refused."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ma.ValidationError("invalid: Must be a list of records.")
        if not 1 <= len(value) <= MAX_RECORDS:
            raise ma.ValidationError(f"length: Must have 1 to {MAX_RECORDS} records.")
        return value


class Usage(ma.Schema):
    """Usage records.

    ``admission``: ``limit`` refuses what the credits do not cover; ``always`` is for usage that has
    already happened.
    """

    records = Records(
        ma.fields.Nested(UsageRecordShown),
        required=True,
        metadata={"minItems": 1, "maxItems": MAX_RECORDS},
    )
    admission = ma.fields.String(
        load_default="limit", validate=ma.validate.OneOf(("limit", "always"))
    )


class RefusedRecord(ma.Schema):
    """A refused record; its id may be used again.

    ``index``: its position in the request. ``errors``: the fields of an ``invalid_record``, with
    pointers from the record.
    """

    id = ma.fields.String(required=True, allow_none=True)
    code = ma.fields.String(required=True)
    index = ma.fields.Integer(required=True)
    errors = ma.fields.List(ma.fields.Nested(ErrorItem))


class UsageOutcome(ma.Schema):
    """The number of accepted records and of duplicates, and the refused records."""

    accepted = ma.fields.Integer(required=True)
    duplicates = ma.fields.Integer(required=True)
    refused = ma.fields.List(ma.fields.Nested(RefusedRecord), required=True)
