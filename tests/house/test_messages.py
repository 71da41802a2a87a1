"""Messages: each has a golden file, one producer and the consumers it names."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import pytest
from clientele.embedded import SERVICES as EMBEDDED
from contracts import OUTSIDERS, parts
from contracts import message as messages
from contracts.message import Message, every_message

from tests.house import golden, rules
from tests.house.workspace import SERVICES, Project

ODD: tuple[object, ...] = (None, True, 7, 1.5, "text", ["text"], [{"a": 1}], [], {"a": 1}, {})
EVERY = pytest.mark.parametrize("kind", every_message(), ids=lambda kind: kind.TYPE)


def consumers(kind: type[Message], services: list[Project]) -> tuple[str, ...]:
    """The services that have a listener for the message."""
    tables = {
        s.name: import_module(f"{s.name}.listeners").LISTENERS
        for s in services
        if s.has("listeners")
    }
    return tuple(sorted(name for name, table in tables.items() if kind in table))


@pytest.fixture(scope="module")
def published() -> dict[str, set[tuple[str, str]]]:
    return {service.name: rules.published(service.package) for service in SERVICES}


@EVERY
def test_a_message_reads_and_writes_its_golden_file(kind: type[Message]) -> None:
    stored = json.loads(golden.path(kind).read_text())

    assert kind.load(stored).dump() == stored
    assert kind.load(stored) == golden.representative(kind), (
        "regenerate it: python -m tests.house.golden"
    )


@EVERY
def test_the_body_is_what_the_schema_makes_of_any_values(
    kind: type[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = golden.representative(kind)
    changed = [replace(whole, **{f.name: value}) for f in fields(kind) for value in ODD]
    bodies = [_body(message) for message in changed]
    monkeypatch.setattr(messages, "_is_plain", lambda *_: False)

    assert bodies == [_body(message) for message in changed]


@EVERY
def test_a_message_is_what_the_schema_makes_of_any_body(
    kind: type[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = json.loads(golden.path(kind).read_text())
    received = [{**stored, name: value} for name in stored for value in ODD]
    received += [{key: stored[key] for key in stored if key != name} for name in stored]
    loaded = [_loaded(kind, body) for body in received]
    monkeypatch.setattr(messages, "_is_plain", lambda *_: False)

    assert loaded == [_loaded(kind, body) for body in received]


def _body(message: Message) -> str:
    try:
        return json.dumps(message.dump())
    except Exception as problem:
        return type(problem).__name__


def _loaded(kind: type[Message], body: object) -> object:
    try:
        return kind.load(body)
    except Exception as problem:
        return str(problem)


@EVERY
def test_unknown_fields_are_ignored(kind: type[Message]) -> None:
    stored = json.loads(golden.path(kind).read_text())

    assert kind.load({**stored, "added_by_a_later_producer": {"a": [1]}}) == golden.representative(
        kind
    )


@EVERY
def test_only_its_producer_publishes_it(
    kind: type[Message], published: dict[str, set[tuple[str, str]]]
) -> None:
    name = (kind.__module__.rpartition(".")[2], kind.__name__)
    producers = [] if kind.producer() in OUTSIDERS else [kind.producer()]

    assert [service for service, messages_ in published.items() if name in messages_] == producers


def test_an_external_producer_is_not_a_service() -> None:
    producers = {kind.producer() for kind in every_message()}

    assert not {service.name for service in SERVICES} & set(OUTSIDERS)
    assert producers - {service.name for service in SERVICES} == set(OUTSIDERS)


def test_what_is_consumed_in_batches_has_no_order_and_a_listener_for_single_messages() -> None:
    for service in EMBEDDED:
        assert service.batches.keys() <= service.listeners.keys()
        assert not [kind for kind in service.listeners if kind.ORDERED is (kind in service.batches)]


def test_what_is_public_has_happened_and_names_no_member() -> None:
    for kind in filter(lambda kind: kind.PUBLIC, every_message()):
        assert re.search(r"(ed|frozen|paid|overdue|low)\.v\d+$", kind.TYPE), "not a command"
        assert not issubclass(kind, parts.AuditRecorded)
        assert not {"owner", "check_id"} & {field.name for field in fields(kind)}, kind.TYPE


@EVERY
def test_it_is_consumed_by_the_services_it_names(kind: type[Message]) -> None:
    assert tuple(sorted(kind.CONSUMERS)) == consumers(kind, SERVICES)


@EVERY
def test_it_is_in_its_producers_module_under_its_own_name_with_a_description(
    kind: type[Message],
) -> None:
    words = kind.TYPE.split(".")[1].split("_")

    assert kind.__module__ == f"contracts.{kind.producer()}"
    assert kind.__name__ == "".join(word.capitalize() for word in words)
    assert kind.__dict__.get("__doc__") and not kind.__doc__.startswith(f"{kind.__name__}(")  # type: ignore[union-attr]


def test_every_golden_file_belongs_to_a_message() -> None:
    assert {file.name for file in golden.FOLDER.iterdir()} == {
        golden.path(kind).name for kind in every_message()
    }


# ---- each rule finds a planted violation


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Message]]:
    """A message that only this test knows, with its golden file in a folder of its own."""
    monkeypatch.setattr(golden, "FOLDER", tmp_path)
    monkeypatch.setattr(messages, "_REGISTER", {})

    @dataclass(frozen=True, kw_only=True)
    class ThingDone(Message):
        organization_id: str
        amount: str
        TYPE: ClassVar[str] = "org.thing_done.v1"

    golden.write(ThingDone)
    yield ThingDone


def changed(**fields: object) -> type[Message]:
    name = "planted.<locals>.ThingDone"
    body: dict[str, object] = {
        "__annotations__": fields,
        "TYPE": "org.thing_done.v1",
        "__qualname__": name,
    }
    body |= {field: None for field, hint in fields.items() if hint == str | None}
    return dataclass(frozen=True, kw_only=True)(type("ThingDone", (Message,), body))


def test_an_optional_field_may_be_added(planted: type[Message]) -> None:
    assert golden.write(changed(organization_id=str, amount=str, remark=str | None))


def test_a_required_field_needs_a_new_version(planted: type[Message]) -> None:
    with pytest.raises(ValueError, match="publish a new version"):
        golden.write(changed(organization_id=str, amount=str, remark=str))


def test_a_removed_field_needs_a_new_version(planted: type[Message]) -> None:
    with pytest.raises(ValueError, match="no longer has"):
        golden.write(changed(organization_id=str))


def test_another_type_needs_a_new_version(planted: type[Message]) -> None:
    with pytest.raises(ValueError, match="publish a new version"):
        golden.write(changed(organization_id=str, amount=int))


def test_what_is_only_consumed_or_named_is_not_published(tmp_path: Path) -> None:
    (tmp_path / "listeners.py").write_text(
        "from contracts import billing\n"
        "def closed(session, message: billing.AccountClosed) -> None: ...\n"
        "LISTENERS = {billing.AccountClosed: closed}\n"
    )
    (tmp_path / "actions.py").write_text(
        "from contracts import org as words\nfrom contracts.billing import"
        " AccountOpened\npublish(words.CloseAccount(a=1))\nASKS = {1:"
        " about(words.EndAccess)}\nrecord(session, AccountOpened)\n"
    )

    assert rules.published(tmp_path) == {
        ("org", "CloseAccount"),
        ("org", "EndAccess"),
        ("billing", "AccountOpened"),
    }
