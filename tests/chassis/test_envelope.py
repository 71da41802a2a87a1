"""Decoding: what services of this system send is read without the library of CloudEvents, which
makes the same of it."""

from typing import Any

import pytest
from chassis.messaging import envelope
from chassis.messaging.envelope import Undeliverable, decode
from chassis.runtime import ids
from contracts import billing

from tests.chassis.messages import raw

ORGANIZATION = ids.new("org")
OTHER: dict[str, dict[str, Any]] = {
    "regular": {},
    "with microseconds": {"time": "2026-03-01T12:00:00.123456Z"},
    "with a cause": {"causationid": ids.new("evt")},
    "correlation is a number": {"correlationid": 7},
    "another extension": {"traceparent": "00-abc"},
    "an extension in capitals": {"TraceParent": "00-abc"},
    "an extension named data": {"data_base64": "e30="},
    "data in base64 only": {"data": None, "data_base64": "e30="},
    "data is text": {"data": "text"},
    "without time": {"time": None},
    "time of no zone": {"time": "2026-03-01T12:00:00"},
    "time of another zone": {"time": "2026-03-01T12:00:00+08:00"},
    "time of day 32": {"time": "2026-03-32T12:00:00Z"},
    "time of hour 24": {"time": "2026-03-01T24:00:00Z"},
    "time of other digits": {"time": "2026-03-01T12:00:0\u0661Z"},
    "time is empty": {"time": ""},
    "time is a number": {"time": 7},
    "specversion 0.3": {"specversion": "0.3"},
    "specversion is a number": {"specversion": 1.0},
    "without specversion": {"specversion": None},
    "without content type": {"datacontenttype": None},
    "content type is empty": {"datacontenttype": ""},
    "a schema": {"dataschema": "https://example.com"},
    "a schema that is empty": {"dataschema": ""},
    "id is empty": {"id": ""},
    "id is a list": {"id": []},
    "source is empty": {"source": ""},
    "type is a number": {"type": 7},
    "subject is empty": {"subject": ""},
    "subject is a number": {"subject": 7},
}


@pytest.mark.parametrize("name", OTHER)
def test_the_library_makes_the_same_of_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body = raw(ORGANIZATION, **OTHER[name])
    decoded = _decoded(body)
    monkeypatch.setattr(envelope, "_is_regular", lambda _: False)

    assert decoded == _decoded(body)


def test_a_regular_message_is_not_read_by_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelope, "_read_other_event", lambda _: 1 / 0)

    assert _decoded(raw(ORGANIZATION))


def _decoded(body: bytes) -> Any:
    try:
        decoded = decode(body, "billing", (billing.AccountOpened,))
    except Undeliverable as problem:
        return problem.reason, problem.detail
    event, message = decoded.envelope, decoded.message
    return (
        (event.id, event.source, event.type, event.aggregate, event.version, event.correlation),
        message,
        decoded.digest,
    )
