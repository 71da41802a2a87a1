"""The bus: confirms matched by delivery tag on a fake channel, and the real broker."""

import contextlib
import select
import socket
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from amqp import AccessRefused, Message
from amqp.exceptions import MessageNacked
from amqp.transport import TCPTransport
from chassis.db.database import Database
from chassis.messaging import broker, policies, publisher, subscribers
from chassis.messaging.broker import connect
from chassis.messaging.inbox import Inbox
from chassis.messaging.inbox_models import DeadLetter
from chassis.messaging.outbox import OutboxRow
from chassis.messaging.publisher import InDoubt, RabbitBus
from chassis.messaging.relay import OutgoingMessage, Relay
from chassis.runtime import cli, ids
from chassis.runtime.settings import Secret
from contracts import billing, org
from org.app import SERVICE

from tests.chassis.conftest import INBOX, LISTENERS, Broker
from tests.chassis.messages import NOON, effects, publish_opened, raw, rows
from tests.waiting import until


class FakeConnection:
    """A connection and its channel. ``script``: what the broker sends, one (event, arguments) per
    drain."""

    userid = "billing"

    def __init__(self, *script: tuple[Any, ...]) -> None:
        self.script, self.events, self.sent, self.connected = (
            list(script),
            defaultdict(set),
            [],
            True,
        )

    def channel(self) -> Any:
        return self

    def confirm_select(self) -> None:
        pass

    def basic_publish(self, message: Any, **how: Any) -> None:
        self.sent.append((message.properties["message_id"], how["mandatory"]))

    def drain_events(self, timeout: float) -> None:
        if not self.script:
            raise TimeoutError
        event, *arguments = self.script.pop(0)
        for handler in self.events[event]:
            handler(*arguments)

    def collect(self) -> None:
        self.connected = False


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Any:
    def on(*script: tuple[Any, ...]) -> tuple[RabbitBus, FakeConnection]:
        connection = FakeConnection(*script)
        monkeypatch.setattr(broker, "connect", lambda *_: connection)
        monkeypatch.setattr(publisher, "CONFIRM_SECONDS", 0.2)
        return RabbitBus("amqp://", "billing"), connection

    return on


def outgoing_messages(count: int, type_: str = billing.AccountOpened.TYPE) -> list[OutgoingMessage]:
    return [
        OutgoingMessage(ids.new("evt"), ids.new("org"), type_, b"{}", NOON) for _ in range(count)
    ]


@pytest.fixture
def patient(fake: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    def on(*script: tuple[Any, ...]) -> tuple[RabbitBus, FakeConnection]:
        made = fake(*script)
        monkeypatch.setattr(publisher, "CONFIRM_SECONDS", 5.0)
        return made

    return on


def test_one_ack_can_confirm_several_messages(patient: Any) -> None:
    bus, _ = patient(("basic_ack", 2, True), ("basic_ack", 3, False))
    three = outgoing_messages(3)

    result = bus.publish(three)

    assert result.sent == {message.id for message in three}


def test_acks_out_of_order_are_matched_by_their_tags(patient: Any) -> None:
    bus, _ = patient(("basic_ack", 3, False), ("basic_ack", 1, False), ("basic_ack", 2, False))

    assert len(bus.publish(outgoing_messages(3)).sent) == 3


def test_the_ack_of_another_message_does_not_confirm_this_one(fake: Any) -> None:
    bus, connection = fake(("basic_ack", 1, False), ("basic_ack", 1, False))

    with pytest.raises(InDoubt):
        bus.publish(outgoing_messages(2))

    assert not connection.connected


def test_tags_continue_from_batch_to_batch(patient: Any) -> None:
    bus, _ = patient(("basic_ack", 2, True), ("basic_ack", 3, False))
    bus.publish(outgoing_messages(2))

    assert len(bus.publish(outgoing_messages(1)).sent) == 1


@pytest.mark.parametrize(
    ("script", "refused"),
    [
        ([("basic_ack", 1, False), ("basic_nack", 2, False), ("basic_ack", 3, True)], [1]),
        ([("basic_nack", 2, True), ("basic_ack", 3, True)], [0, 1]),
        ([("basic_ack", 2, True), ("basic_nack", 3, True)], [2]),
    ],
    ids=["one", "several", "the last"],
)
def test_a_nack_refuses_the_messages_with_its_tags_and_no_others(
    patient: Any, script: list[tuple[Any, ...]], refused: list[int]
) -> None:
    bus, connection = patient(*script)
    three = outgoing_messages(3)

    result = bus.publish(three)

    assert result.returned == {three[n].id: publisher.REFUSED for n in refused}
    assert result.sent == {message.id for message in three} - result.returned.keys()
    assert not connection.connected, "a channel may go on refusing for a queue with room again"


def test_what_was_refused_before_is_not_refused_again(patient: Any) -> None:
    bus, _ = patient(("basic_nack", 1, False), ("basic_ack", 1, False))
    message = outgoing_messages(1)
    bus.publish(message)

    assert bus.publish(message).sent == {message[0].id}


def test_silence_puts_the_whole_batch_in_doubt_and_drops_the_connection(fake: Any) -> None:
    bus, connection = fake()

    with pytest.raises(InDoubt):
        bus.publish(outgoing_messages(1))

    assert not connection.connected


def test_a_returned_message_is_not_sent_though_it_is_confirmed(patient: Any) -> None:
    two = outgoing_messages(2)
    came_back = SimpleNamespace(properties={"message_id": two[0].id})
    bus, connection = patient(
        ("basic_return", Exception("NO_ROUTE"), "billing", "key", came_back), ("basic_ack", 2, True)
    )

    result = bus.publish(two)

    assert result.sent == {two[1].id}
    assert result.returned == {two[0].id: "NO_ROUTE"}
    assert connection.connected


def test_only_messages_with_consumers_are_mandatory(patient: Any) -> None:
    bus, connection = patient(("basic_ack", 2, True))

    bus.publish(outgoing_messages(1) + outgoing_messages(1, org.OrganizationReactivated.TYPE))

    assert [mandatory for _, mandatory in connection.sent] == [True, False]


def test_the_broker_delivers_a_message_byte_for_byte(
    postgres_database: Database, broker: Broker
) -> None:
    publish_opened(postgres_database, *(ids.new("org") for _ in range(30)))
    bus = RabbitBus(broker.urls["billing"], "billing")

    assert Relay(postgres_database, bus).step(NOON) == 30

    bus.close()
    kept = sorted(rows(postgres_database, OutboxRow), key=lambda row: row.seq)
    assert broker.take(30) == [row.body for row in kept]
    assert broker.depth(INBOX) == 0


def test_an_unroutable_message_is_sent_once_a_queue_is_bound(
    postgres_database: Database, broker: Broker
) -> None:
    key = billing.AccountOpened.TYPE
    with broker.channel() as channel:
        channel.exchange_unbind("org.inbox.1", "billing", key)
    stuck, bus = ids.new("org"), RabbitBus(broker.urls["billing"], "billing")
    sender = Relay(postgres_database, bus)
    first = publish_opened(postgres_database, stuck)[0]
    try:
        assert sender.step(NOON) == 0
        publish_opened(postgres_database, stuck)
        assert sender.step(NOON) == 0
        assert "NO_ROUTE" in next(
            r.unsendable for r in rows(postgres_database, OutboxRow) if r.id == first
        )
        assert broker.depth(INBOX) == 0
    finally:
        broker.declare()

    while sender.step(NOON + timedelta(minutes=1)):
        pass

    bus.close()
    assert broker.take(2) == [
        r.body for r in sorted(rows(postgres_database, OutboxRow), key=lambda r: r.seq)
    ]


@contextmanager
def full_queue(broker: Broker, kind: str, key: str) -> Iterator[None]:
    """A queue of somebody else, bound to billing's exchange, that refuses what is published."""
    limits = {"x-queue-type": kind, "x-max-length": 1, "x-overflow": "reject-publish"}
    with broker.channel() as channel:
        channel.queue_declare("foreign", durable=True, auto_delete=False, arguments=limits)
        channel.queue_bind("foreign", "billing", key)
        try:
            with pytest.raises(MessageNacked):
                for _ in range(10):
                    channel.basic_publish_confirm(Message("x"), "", "foreign", confirm_timeout=60)
            yield
        finally:
            channel.queue_delete("foreign")


def test_only_what_a_full_queue_of_others_is_bound_to_is_refused(broker: Broker) -> None:
    bus = RabbitBus(broker.urls["billing"], "billing")
    messages = outgoing_messages(20) + outgoing_messages(20, "billing.not_consumed.v1")

    with full_queue(broker, "classic", "billing.not_consumed.v1"):
        result = bus.publish(messages)

    bus.close()
    assert result.returned.keys() == {message.id for message in messages[20:]}
    assert result.sent == {message.id for message in messages[:20]}


def test_consumers_get_once_what_a_full_queue_of_others_refuses(
    postgres_database: Database, broker: Broker
) -> None:
    bus = RabbitBus(broker.urls["billing"], "billing")
    sender = Relay(postgres_database, bus)
    inbox = Inbox(postgres_database, LISTENERS)
    organization_ids = sorted(ids.new("org") for _ in range(3))
    publish_opened(postgres_database, *organization_ids, *organization_ids)
    everything = sorted(f"{each} {version}" for each in organization_ids for version in (1, 2))

    with broker.listening(inbox):
        with full_queue(broker, "quorum", billing.AccountOpened.TYPE):
            for seconds in range(4):
                assert sender.step(NOON + timedelta(seconds=seconds)) == 0
            until(lambda: len(effects(postgres_database)) == 6)
            remedy = "drop-foreign", "^foreign$", '{"overflow":"drop-head"}'
            broker.server.rabbitmqctl("set_policy", "-p", "clientele", *remedy)
            later = NOON + timedelta(minutes=2)
            until(lambda: not sender.step(later))
        broker.server.rabbitmqctl("clear_policy", "-p", "clientele", "drop-foreign")
        until(lambda: broker.depth(INBOX) == 0)

    bus.close()
    assert {row.published_at for row in rows(postgres_database, OutboxRow)} == {later}
    assert sorted(effects(postgres_database)) == everything
    assert rows(postgres_database, DeadLetter) == []


@pytest.fixture
def subscriber(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The login of a subscriber, made as docs/integrators.md says, with a queue of three
    messages."""
    monkeypatch.setattr(subscribers, "MAX_LENGTH", 3)
    monkeypatch.setenv("BROKER_ADMIN_URL", broker.server.url())
    monkeypatch.setattr("sys.argv", ["org", "subscribe", "crm", billing.AccountOpened.TYPE])
    for command in ("add_user crm secret", "set_permissions -p clientele crm ^$ ^$ ^sub\\.crm$"):
        broker.server.rabbitmqctl(*command.split())
    cli.main(SERVICE)
    yield broker.server.url("crm", "secret")
    broker.server.rabbitmqctl("delete_queue", "-p", "clientele", "sub.crm")
    broker.server.rabbitmqctl("delete_user", "crm")


def test_a_subscriber_who_reads_nothing_holds_nobody_up(broker: Broker, subscriber: str) -> None:
    bus = RabbitBus(broker.urls["billing"], "billing")
    batches = [outgoing_messages(10) for _ in range(3)]

    results = [bus.publish(batch) for batch in batches]

    bus.close()
    assert [len(result.sent) for result in results] == [10, 10, 10]
    assert broker.depth("sub.crm") == 3
    with connect(subscriber, "crm") as connection:
        newest = connection.channel().basic_get("sub.crm")
    assert newest.properties["message_id"] == batches[-1][-3].id


def test_a_subscriber_can_do_nothing_but_read_its_queue(broker: Broker, subscriber: str) -> None:
    attempts: list[Callable[[Any], object]] = [
        lambda channel: channel.queue_declare("sub.mine"),
        lambda channel: channel.queue_bind("sub.crm", "org", "#"),
        lambda channel: channel.basic_get(INBOX),
        lambda channel: channel.exchange_declare("mine", "topic"),
    ]
    for attempt in attempts:
        with connect(subscriber, "crm") as connection, pytest.raises(AccessRefused):
            attempt(connection.channel())


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("crm billing.acount_opened.v1", "no public messages"),
        ("../crm billing.account_opened.v1", "name the subscriber"),
        ("crm", "usage"),
        ("crm org.open_account.v1", "no public messages: org.open_account.v1"),
        ("crm billing.invoice_paid.v1 org.audit_recorded.v1", "messages: org.audit_recorded.v1"),
        ("crm membership.state_reported.v1", "no public messages"),
        ("crm org.invite_owner.v1 membership.owner_invited.v1", "no public messages"),
        ("crm usage.recorded.v1", "no public messages"),
    ],
)
def test_a_subscription_to_other_than_public_messages_is_refused(
    monkeypatch: pytest.MonkeyPatch, words: str, why: str
) -> None:
    monkeypatch.setenv("BROKER_ADMIN_URL", "amqp://nowhere")
    monkeypatch.setattr("sys.argv", ["org", "subscribe", *words.split()])
    with pytest.raises(SystemExit, match=why):
        cli.main(SERVICE)


def test_a_message_without_consumers_is_sent_without_a_bound_queue(broker: Broker) -> None:
    bus = RabbitBus(broker.urls["membership"], "membership")
    message = OutgoingMessage(
        ids.new("evt"), ids.new("org"), "membership.not_consumed.v1", b"{}", NOON
    )

    result = bus.publish([message])

    bus.close()
    assert result.sent == {message.id}
    assert result.returned == {}


def test_a_service_cannot_publish_in_the_name_of_another(broker: Broker) -> None:
    message = OutgoingMessage(
        ids.new("evt"), ids.new("org"), billing.AccountOpened.TYPE, b"{}", NOON
    )
    intruder = RabbitBus(broker.urls["membership"], "billing")

    with pytest.raises(Exception, match="ACCESS_REFUSED"):
        intruder.publish([message])

    assert broker.depth(INBOX) == 0


def test_a_body_larger_than_the_broker_accepts_is_an_error(broker: Broker) -> None:
    bus = RabbitBus(broker.urls["billing"], "billing")

    with pytest.raises(Exception):  # noqa: B017 - refused on the channel, or the connection is cut
        bus.publish(
            [
                OutgoingMessage(
                    ids.new("evt"),
                    ids.new("org"),
                    billing.AccountOpened.TYPE,
                    b"x" * 10_000_000,
                    NOON,
                )
            ]
        )

    assert bus._connection is None
    assert broker.depth(INBOX) == 0


def test_what_is_published_while_the_broker_is_down_is_consumed_later(
    postgres_database: Database, broker: Broker
) -> None:
    organization_id = ids.new("org")
    broker.server.settle()
    bus = RabbitBus(broker.urls["billing"], "billing")
    sender = Relay(postgres_database, bus)
    inbox = Inbox(postgres_database, LISTENERS)
    with broker.listening(inbox):
        publish_opened(postgres_database, organization_id)
        sender.step(NOON)
        until(lambda: len(effects(postgres_database)) == 1)

        broker.server.kill()
        publish_opened(postgres_database, organization_id, organization_id)
        with pytest.raises(Exception):  # noqa: B017 - depends on when the broker is gone
            sender.step(NOON)
        assert [row.published_at is None for row in rows(postgres_database, OutboxRow)].count(
            True
        ) == 2

        broker.server.restart()
        until(lambda: _can_send(sender))
        until(lambda: len(effects(postgres_database)) == 3)

    assert effects(postgres_database) == [f"{organization_id} {n}" for n in (1, 2, 3)]
    bus.close()


def _can_send(relay: Relay) -> bool:
    try:
        relay.step(NOON)
    except Exception:
        return False
    return True


def test_compressed_bodies_are_never_decompressed() -> None:
    import kombu.compression

    assert kombu.compression._decoders == {}


def test_what_has_come_from_the_broker_is_read_at_once() -> None:
    """py-amqp has no public way to read ahead, so we replace `_quick_recv` of its transport: a new
    version may no longer call it."""
    frame = bytes((8, 0, 0, 0, 0, 0, 0)) + b"\xce"  # a heartbeat
    with socket.create_server(("127.0.0.1", 0)) as server:
        transport = TCPTransport("{}:{}".format(*server.getsockname()), connect_timeout=60)
        transport.connect()
        peer, _ = server.accept()
        with peer, contextlib.closing(transport):
            broker.read_ahead(SimpleNamespace(connection=SimpleNamespace(transport=transport)))  # type: ignore[arg-type]
            peer.sendall(frame * 2)
            transport.sock.recv(len(frame) * 2, socket.MSG_PEEK | socket.MSG_WAITALL)

            first = transport.read_frame()

            assert not select.select([transport.sock], [], [], 0)[0], "it was not read ahead"
            assert transport.read_frame() == first


def test_a_bound_queue_gets_what_its_service_consumes(broker: Broker) -> None:
    body = raw(ids.new("org"))

    broker.publish([body])

    assert broker.take(1) == [body]


def test_the_topology_step_knows_the_version_of_the_broker(broker: Broker) -> None:
    version = broker.server.rabbitmqctl("eval", "rabbit_misc:version().")
    settings = policies.BrokerSettings(broker_admin_url=Secret(broker.server.url()))

    assert f'"{policies._version("org", settings)}.' in version
