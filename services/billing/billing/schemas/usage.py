"""Usage records.

They arrive by the thousand, so they are parsed by hand; the schemas describe the same for people.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeGuard

import marshmallow as ma
from chassis.http.fields import Stamp, Text, TypeId
from chassis.runtime import ids

from billing import values
from billing.actions.usage.records import UsageRecord
from billing.schemas.fields import Money

MAX_RECORDS = 10_000
_ID = re.compile("[!-~]{1,128}")
_NEEDED = {"id", "organization_id", "amount", "at", "description"}
_SHAPES = (_NEEDED, _NEEDED | {"cost"})
_TEXT, _STAMP = Text(most=255), Stamp()


class BadRecord(ValueError):
    """An invalid usage record.

    ``code``: what is wrong with it. ``id``: its id, if it has a valid one.
    """

    def __init__(self, code: str, record_id: str | None) -> None:
        self.code, self.id = code, record_id
        super().__init__(code)


def read_record(raw: object, *, provider_id: str, always: bool) -> UsageRecord:
    """The record in a JSON value. Raises BadRecord."""
    if not isinstance(raw, dict):
        raise BadRecord("invalid_record", None)
    record_id = raw.get("id")
    if not _is_valid_id(record_id):
        raise BadRecord("invalid_id", None)
    if raw.keys() not in _SHAPES:
        raise BadRecord("invalid_record", record_id)
    organization_id = raw["organization_id"]
    if not (isinstance(organization_id, str) and ids.is_id("org", organization_id)):
        raise BadRecord("organization_not_found", record_id)
    try:
        amount = values.parse_money(raw["amount"])
        cost = values.parse_money(raw["cost"], zero=True) if "cost" in raw else 0
    except values.InvalidMoney as problem:
        raise BadRecord("invalid_amount", record_id) from problem
    at = _read(_at, raw["at"], "at", record_id)
    description = _read(_description, raw["description"], "description", record_id)
    return UsageRecord(
        provider_id, record_id, organization_id, amount, at, description, cost, always
    )


def _is_valid_id(record_id: object) -> TypeGuard[str]:
    return isinstance(record_id, str) and _ID.fullmatch(record_id) is not None


def _read(read: Callable[[str], Any], value: object, name: str, record_id: str) -> Any:
    try:
        if isinstance(value, str):
            return read(value)
    except ma.ValidationError as problem:
        raise BadRecord(f"invalid_{name}", record_id) from problem
    raise BadRecord(f"invalid_{name}", record_id)


# Records of a batch often have the same values, which are then parsed once. Only valid values,
# whose length is limited, are kept.
@lru_cache(maxsize=2**12)
def _at(text: str) -> Any:
    return _STAMP.deserialize(text)


@lru_cache(maxsize=2**12)
def _description(text: str) -> Any:
    return _TEXT.deserialize(text)


class UsageRecordShown(ma.Schema):
    """Usage of a customer.

    ``id``: your id, 1 to 128 visible ASCII characters; it counts once, permanently. ``at``: when it
    happened. ``cost``: your cost.
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
    """A refused record; its id may be used again. ``index``: its position in the request."""

    id = ma.fields.String(required=True, allow_none=True)
    code = ma.fields.String(required=True)
    index = ma.fields.Integer(required=True)


class UsageOutcome(ma.Schema):
    """The number of accepted records and of duplicates, and the refused records."""

    accepted = ma.fields.Integer(required=True)
    duplicates = ma.fields.Integer(required=True)
    refused = ma.fields.List(ma.fields.Nested(RefusedRecord), required=True)
