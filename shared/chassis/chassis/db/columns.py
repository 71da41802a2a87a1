"""Column types for both databases, and the base class of the chassis' own tables."""

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Integer,
    MetaData,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

from chassis.runtime import ids

BigInt = BigInteger().with_variant(Integer, "sqlite")
Json = JSON().with_variant(JSONB, "postgresql")


def metadata() -> MetaData:
    """New metadata whose constraints are named by one convention, so that code can recognize a
    violated one."""
    return MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Base(DeclarativeBase):
    """The base class of the chassis' own tables. Each service has another one for its tables."""

    metadata = metadata()


class Id(TypeDecorator[str]):
    """A TypeID column: ``org_…`` in the code, a native UUID in the database. A UUID is also
    accepted."""

    impl = Uuid
    cache_ok = True

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        super().__init__()

    def process_bind_param(self, value: Any, dialect: Dialect) -> uuid.UUID | None:
        if value is None or isinstance(value, uuid.UUID):
            return value
        return ids.to_uuid(self.prefix, value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else ids.of_uuid(self.prefix, value)


class Instant(TypeDecorator[datetime]):
    """A UTC instant with microseconds, on both databases."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            return value.replace(tzinfo=UTC)
        return value.astimezone(UTC)
