"""Consuming from the real broker: poison between good messages is dead-lettered with its reason and
blocks no others."""

import bz2
import gzip
import hashlib
import lzma
import pickle
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import amqp
import pytest
from chassis.db.database import Database
from chassis.messaging.inbox import Inbox
from chassis.messaging.inbox_models import DeadLetter
from chassis.runtime import ids
from contracts import billing

from tests.chassis.conftest import INBOX, LISTENERS, Broker
from tests.chassis.messages import CHASSIS, effects, event_of, note, raw, rows
from tests.chassis.test_inbox import POISON
from tests.databases import PreparedDatabases, migrated
from tests.waiting import until

BOMB = b"0" * 50_000_000


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


class Outcome:
    """The state after the service has consumed a queue full of poison between good messages."""

    def __init__(self, database: Database, broker: Broker, trap: Path) -> None:
        self.trap = trap
        self.good = ids.new("org")
        self.published = self._publish_all(broker)
        with broker.listening(Inbox(database, LISTENERS)):
            last = f"{self.good} {self.versions}"
            until(lambda: effects(database)[-1:] == [last])
        self.effects = effects(database)
        self.dead = rows(database, DeadLetter)
        self.remaining = broker.depth(INBOX)

    def _publish_all(self, broker: Broker) -> dict[str, tuple[bytes, str]]:
        hostile = self._hostile()
        published = {name: (body, reason) for name, (body, reason, _) in hostile.items()}
        published |= POISON
        properties = {name: properties for name, (_, _, properties) in hostile.items()}
        self.versions = 0
        with (
            broker.channel("billing") as billing_channel,
            broker.channel("membership") as membership_channel,
        ):
            for name, (body, _) in published.items():
                self._publish(billing_channel, raw(self.good, self._next()))
                by = properties.get(name, {}).pop("by", "billing")
                if by == "membership":
                    self._publish(
                        membership_channel,
                        body,
                        user="membership",
                        key="membership.members_erased.v1",
                    )
                else:
                    self._publish(billing_channel, body, **properties.get(name, {}))
            self._publish(billing_channel, raw(self.good, self._next()))
        return published

    def _next(self) -> int:
        self.versions += 1
        return self.versions

    @staticmethod
    def _publish(
        channel: Any,
        body: bytes,
        user: str = "billing",
        key: str = billing.AccountOpened.TYPE,
        **properties: Any,
    ) -> None:
        message = amqp.Message(body, **{"user_id": user, "delivery_mode": 2, **properties})
        channel.basic_publish_confirm(message, exchange=user, routing_key=key, confirm_timeout=60)

    def _hostile(self) -> dict[str, tuple[bytes, str, dict[str, Any]]]:
        pickled = pickle.dumps(Trap(self.trap))
        undecodable = "undecodable"
        return {
            "a pickle": (pickled, undecodable, {"content_type": "application/x-python-serialize"}),
            "yaml": (
                b"!!python/object/apply:os.getcwd []",
                undecodable,
                {"content_type": "application/x-yaml"},
            ),
            "a gzip bomb": (
                gzip.compress(BOMB),
                undecodable,
                {"application_headers": {"compression": "application/x-gzip"}},
            ),
            "a bzip2 bomb": (
                bz2.compress(BOMB),
                undecodable,
                {"application_headers": {"compression": "application/x-bz2"}},
            ),
            "an xz bomb": (
                lzma.compress(BOMB),
                undecodable,
                {"application_headers": {"compression": "application/x-lzma"}},
            ),
            "a deflate encoding": (zlib.compress(BOMB), undecodable, {"content_encoding": "zlib"}),
            "a slow charset": (
                b"a-" + b"z" * 900_000,
                "too_large",
                {"content_encoding": "punycode"},
            ),
            "an unknown charset": (b"{", undecodable, {"content_encoding": "nonsense"}),
            "no content type": (b"{ ", undecodable, {}),
            "900 kB": (b"x" * 900_000, "too_large", {}),
            "by another user": (raw(ids.new("org")), "forged", {"by": "membership"}),
            "without a user": (raw(ids.new("org")), "forged", {"user_id": None}),
            "many headers": (
                b"{  ",
                undecodable,
                {"application_headers": {f"h{n}": {"a": [n]} for n in range(2000)}},
            ),
        }


@pytest.fixture(scope="module")
def outcome(
    request: pytest.FixtureRequest,
    prepared_databases: PreparedDatabases,
    made_broker: Broker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Outcome]:
    folder = tmp_path_factory.mktemp("poison")
    with made_broker.channel() as channel:
        channel.queue_purge(INBOX)
    with migrated(
        CHASSIS,
        "postgresql",
        prepared_databases=prepared_databases,
        folder=folder,
        postgres=lambda: request.getfixturevalue("postgres"),
    ) as database:
        yield Outcome(database, made_broker, folder / "unpickled")


def test_every_good_message_between_the_poison_was_applied_in_order(outcome: Outcome) -> None:
    assert outcome.effects == [f"{outcome.good} {n}" for n in range(1, outcome.versions + 1)]


def test_every_poison_became_exactly_one_dead_letter_with_its_reason(outcome: Outcome) -> None:
    reasons = {row.digest: row.reason for row in outcome.dead}

    wrong = {
        name: (reason, reasons.get(hashlib.sha256(body).digest()))
        for name, (body, reason) in outcome.published.items()
        if reasons.get(hashlib.sha256(body).digest()) != reason
    }
    assert wrong == {}
    assert len(outcome.dead) == len(outcome.published)


def test_nothing_was_unpickled_and_the_queue_is_empty(outcome: Outcome) -> None:
    assert not outcome.trap.exists()
    assert outcome.remaining == 0


def test_a_message_published_twice_has_one_effect(
    postgres_database: Database, broker: Broker
) -> None:
    organization_id, other = ids.new("org"), ids.new("org")
    body = raw(organization_id)
    broker.publish([body, body, raw(other)])

    with broker.listening(Inbox(postgres_database, LISTENERS)):
        until(lambda: len(effects(postgres_database)) == 2)

    assert effects(postgres_database) == [f"{organization_id} 1", f"{other} 1"]
    assert broker.depth(INBOX) == 0


def test_the_same_id_with_another_body_is_dead_lettered_and_the_next_is_applied(
    postgres_database: Database, broker: Broker
) -> None:
    import json

    organization_id = ids.new("org")
    event = event_of(organization_id)
    tampered = json.dumps(event | {"data": {"organization_id": ids.new("org")}}).encode()
    broker.publish([json.dumps(event).encode(), tampered, raw(organization_id, 2)])

    with broker.listening(Inbox(postgres_database, LISTENERS)):
        until(lambda: len(effects(postgres_database)) == 2)

    assert effects(postgres_database) == [f"{organization_id} 1", f"{organization_id} 2"]
    assert [(row.reason, row.body) for row in rows(postgres_database, DeadLetter)] == [
        ("bad_envelope", tampered)
    ]


def test_what_the_broker_gave_up_becomes_a_dead_letter_and_can_be_redriven(
    postgres_database: Database, broker: Broker
) -> None:
    body = raw(organization_id := ids.new("org"))
    broker.publish([body])
    broker.take(1, reject=True)
    until(lambda: broker.depth("org.dead") == 1)
    inbox = Inbox(postgres_database, LISTENERS)

    with broker.listening(inbox):
        until(lambda: rows(postgres_database, DeadLetter))

    assert [
        (row.reason, row.detail, row.published_by) for row in rows(postgres_database, DeadLetter)
    ] == [("gave_up", "rejected", "billing")]
    assert broker.depth("org.dead") == 0
    inbox.redrive()
    assert effects(postgres_database) == [f"{organization_id} 1"]


def test_a_dead_letter_without_a_history_does_not_stop_the_service(
    postgres_database: Database, broker: Broker
) -> None:
    with broker.channel() as channel:
        for headers in ({}, {"application_headers": {"x-death": "nonsense"}}):
            channel.basic_publish_confirm(
                amqp.Message(f"lost {headers}".encode(), **headers), "dead", "org"
            )
    broker.publish([raw(organization_id := ids.new("org"))])

    with broker.listening(Inbox(postgres_database, LISTENERS)):
        until(lambda: len(rows(postgres_database, DeadLetter)) == 2 and effects(postgres_database))

    assert effects(postgres_database) == [f"{organization_id} 1"]
    assert broker.depth("org.dead") == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_message_is_not_lost_when_the_service_dies_while_applying_it(
    postgres_database: Database, broker: Broker
) -> None:
    organization_id, deaths = ids.new("org"), []

    def dies_once(session: Any, envelope: Any, *, organization_id: str) -> None:
        note(session, envelope, organization_id=organization_id)
        if not deaths:
            deaths.append(1)
            raise SystemExit

    inbox = Inbox(postgres_database, LISTENERS | {billing.AccountOpened: dies_once})
    broker.publish([raw(organization_id, 1), raw(organization_id, 2)])
    with broker.listening(inbox):
        until(lambda: deaths)

    with broker.listening(inbox):
        until(lambda: len(effects(postgres_database)) == 2)

    assert effects(postgres_database) == [f"{organization_id} 1", f"{organization_id} 2"]
    assert rows(postgres_database, DeadLetter) == []
