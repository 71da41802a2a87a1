"""The format of messages, and everything that makes one impossible to decode."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Container
from datetime import datetime
from typing import Any, NamedTuple

import marshmallow
from contracts import Message, by_type

from chassis import strict_json
from chassis.runtime import clock, ids

MAX_SIZE = 256 * 1024
_TEXTS = ("id", "source", "type", "subject", "time", "datacontenttype")
_ATTRIBUTES = {*_TEXTS, "specversion", "sequence", "correlationid", "causationid", "data"}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)
_MAX_CORRELATION = 128
# Escapes of NUL and of surrogates, which are lone ones or pairs.
_UNSTORABLE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_SEQUENCE = re.compile("[1-9][0-9]{0,18}")


class Envelope(NamedTuple):
    """What a listener may know about the message in addition to its body."""

    id: str
    source: str
    type: str
    aggregate: str
    version: int
    correlation: str
    now: datetime

    @property
    def producer(self) -> str:
        """The service that published it."""
        return self.source.removeprefix("/")


class Undeliverable(Exception):
    """The message can never be applied. ``reason``: a slug."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


class Delivery(NamedTuple):
    """A message as the broker delivered it. ``published_by``: the user who published it, as the
    broker authenticated it; ``redelivered``: whether it was delivered before."""

    raw: bytes
    published_by: str
    redelivered: bool = False


class Decoded(NamedTuple):
    """A decoded message and the SHA-256 of its bytes."""

    envelope: Envelope
    message: Message
    digest: bytes


def decode(raw: bytes, published_by: str | None, consumed: Container[type[Message]]) -> Decoded:
    """The message in these bytes. ``published_by``: the user who published it, as the broker
    authenticated it; None if that was checked before or is not known. Raises Undeliverable."""
    facts, body = _read_event(raw)
    version, subject = _version(facts.get("sequence")), facts.get("subject")
    if not ids.is_id("evt", str(facts["id"])) or not version or not _is_subject(subject):
        raise Undeliverable("bad_envelope", "id, sequence or subject is invalid")
    kind = by_type(facts["type"])
    if kind is None or kind not in consumed:
        raise Undeliverable("unknown_type", facts["type"])
    if facts["source"] != f"/{kind.producer()}" or published_by not in (None, kind.producer()):
        raise Undeliverable("forged", f"{facts['type']} from {facts['source']} by {published_by}")
    try:
        message = kind.load(body)
    except marshmallow.ValidationError as problem:
        raise Undeliverable("invalid", json.dumps(problem.messages)[:500]) from problem
    if _UNSTORABLE.search(raw) and not strict_json.is_storable(_known(kind, body)):
        raise Undeliverable("invalid", "a text has NUL or a lone surrogate")
    envelope = Envelope(
        id=facts["id"],
        source=facts["source"],
        type=facts["type"],
        aggregate=str(subject),
        version=version,
        correlation=writable(str(facts.get("correlationid", "")))[:_MAX_CORRELATION],
        now=clock.now(),
    )
    return Decoded(envelope, message, hashlib.sha256(raw).digest())


def _known(kind: Any, body: dict[str, Any]) -> list[Any]:
    """The values of the fields that the message has."""
    return [body.get(field.name) for field in dataclasses.fields(kind)]


def _read_event(raw: bytes) -> tuple[dict[str, Any], Any]:
    """The attributes of the event and its data. Raises Undeliverable."""
    if len(raw) > MAX_SIZE:
        raise Undeliverable("too_large", f"{len(raw)} bytes")
    try:
        value = strict_json.loads(raw.decode())
        if _is_regular(value):
            return value, value["data"]
        return _read_other_event(raw)
    except (RecursionError, ValueError, AttributeError, UnicodeError) as problem:
        raise Undeliverable("undecodable", str(problem)[:500]) from problem
    except Exception as problem:
        raise Undeliverable("bad_envelope", str(problem)[:500]) from problem


def _read_other_event(raw: bytes) -> tuple[dict[str, Any], Any]:
    from cloudevents.core.formats.json import JSONFormat  # takes memory, and few processes need it

    event = JSONFormat().read(None, raw)
    return event.get_attributes(), event.get_data()


def _is_regular(event: Any) -> bool:
    """Whether it is a valid event with the attributes that services of this system send. The
    library of CloudEvents, which judges all others, takes many times as long."""
    if type(event) is not dict or not event.keys() <= _ATTRIBUTES:
        return False
    if event.get("specversion") != "1.0" or type(event.get("data")) is not dict:
        return False
    for name in _TEXTS:
        if type(event.get(name)) is not str or not event[name]:
            return False
    try:
        return bool(_TIME.fullmatch(event["time"]) and datetime.fromisoformat(event["time"]))
    except ValueError:
        return False


def _version(sequence: object) -> int:
    """The position in the stream, 0 if it is invalid."""
    text = str(sequence)
    if not _SEQUENCE.fullmatch(text) or int(text) >= 2**63:
        return 0
    return int(text)


def _is_subject(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= 64 and text == writable(text)


def writable(text: str) -> str:
    """The text as every database can store it: without NUL and lone surrogates, at most 2,000
    characters."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()[:2000]
