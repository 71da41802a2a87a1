"""TypeIDs: a UUIDv7, or where the time must not show a random UUID, with a prefix that names the
kind of thing. Text in code and API, a UUID in the database."""

import re
import uuid
from functools import lru_cache

import uuid_utils.compat
from typeid.codecs import base32

_SUFFIX_LENGTH = 26
# 128 bits in base 32, five a character, so that the first character has three.
_SUFFIX = re.compile("[0-7][0-9a-hjkmnp-tv-z]{25}")


def new(prefix: str) -> str:
    """A new id. Later ids sort later."""
    return of_uuid(prefix, new_uuid())


def new_random(prefix: str) -> str:
    """A new id that does not tell when it was made, nor sorts by it."""
    return of_uuid(prefix, uuid.uuid4())


def new_uuid() -> uuid.UUID:
    """The UUID of a new id, for rows that are written by the thousand."""
    return uuid_utils.compat.uuid7()


def is_id(prefix: str, text: str) -> bool:
    """Whether the text is an id of this kind, in its one canonical spelling."""
    head, _, tail = text.rpartition("_")
    return head == prefix and bool(_SUFFIX.fullmatch(tail))


@lru_cache(maxsize=2**16)
def to_uuid(prefix: str, text: str) -> uuid.UUID:
    """The UUID of an id. Raises ValueError for an id of another kind or format."""
    if not is_id(prefix, text):
        raise ValueError(f"not an id of kind {prefix}")
    return uuid.UUID(bytes=base32.decode(text[-_SUFFIX_LENGTH:]))


def of_uuid(prefix: str, value: uuid.UUID) -> str:
    """The id of this kind with this UUID."""
    return f"{prefix}_{base32.encode(value.bytes)}"
