"""What a service's logins may do in the servers, and what the servers keep when they are killed."""

import os
from collections.abc import Iterator

import amqp
import psycopg
import pytest
from devtools.servers import Postgres, RabbitMQ, ServerMissing, ServiceDatabase, installation
from kombu.utils.url import parse_url
from psycopg import errors


def connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def channel_of(url: str) -> amqp.Channel:
    """A channel that waits for a confirm of every publish."""
    at = parse_url(url)
    connection = amqp.Connection(
        f"{at['hostname']}:{at['port']}",
        at["userid"],
        at["password"],
        virtual_host=at["virtual_host"],
        confirm_publish=True,
        connect_timeout=60,
    )
    connection.connect()
    return connection.channel()


def declare_inbox(url: str, service: str) -> None:
    """The exchange and queue which, in the deployment, a step of its own declares."""
    channel = channel_of(url)
    channel.exchange_declare(service, "topic", durable=True, auto_delete=False)
    queue = f"{service}.inbox"
    channel.queue_declare(
        queue, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"}
    )
    channel.queue_bind(queue, service, "#")
    channel.connection.close()


@pytest.fixture
def database(postgres: Postgres) -> Iterator[ServiceDatabase]:
    fresh = postgres.fresh_database("org")
    yield fresh
    postgres.drop(fresh)


@pytest.fixture(scope="module")
def urls(rabbitmq: RabbitMQ) -> dict[str, str]:
    declare_inbox(rabbitmq.url(), "shop")
    declare_inbox(rabbitmq.url(), "till")
    rabbitmq.settle()
    return rabbitmq.create_service_users("shop", "till")


def test_a_service_writes_rows_to_tables_of_its_owner(database: ServiceDatabase) -> None:
    with connect(database.owner_url) as owner:
        owner.execute("CREATE TABLE things (id bigserial PRIMARY KEY, name text)")

    with connect(database.app_url) as app:
        app.execute("INSERT INTO things (name) VALUES ('first')")
        app.execute("UPDATE things SET name = 'second'")

        assert app.execute("SELECT id, name FROM things").fetchall() == [(1, "second")]
        assert app.execute("DELETE FROM things").rowcount == 1


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE DATABASE mine",
        "CREATE ROLE mine",
        "DROP TABLE things",
        "ALTER TABLE things ADD COLUMN more text",
        "TRUNCATE things",
    ],
)
def test_a_service_changes_no_tables(database: ServiceDatabase, statement: str) -> None:
    with connect(database.owner_url) as owner:
        owner.execute("CREATE TABLE things (id int)")

    with connect(database.app_url) as app, pytest.raises(errors.InsufficientPrivilege):
        app.execute(statement)


@pytest.mark.parametrize("login", ["owner_url", "app_url"])
@pytest.mark.parametrize("elsewhere", ["another service", "postgres", "template1"])
def test_no_login_connects_to_another_database(
    postgres: Postgres, database: ServiceDatabase, login: str, elsewhere: str
) -> None:
    other = postgres.fresh_database("billing")
    target = other.name if elsewhere == "another service" else elsewhere
    url = getattr(database, login).rpartition("/")[0] + f"/{target}"

    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        connect(url)

    postgres.drop(other)


def test_statements_and_locks_have_time_limits(database: ServiceDatabase) -> None:
    with connect(database.app_url) as app:
        limits = [
            app.execute(f"SHOW {name}").fetchone()
            for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        ]

    assert limits == [("5s",), ("2s",), ("10s",)]


def test_creating_a_service_again_changes_only_its_passwords(postgres: Postgres) -> None:
    first = postgres.create_service("repeated")
    with connect(first.owner_url) as owner:
        owner.execute("CREATE TABLE things (id int)")

    second = postgres.create_service("repeated")

    with connect(second.app_url) as app:
        assert app.execute("SELECT count(*) FROM things").fetchone() == (0,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(first.app_url)
    postgres.drop(second)


@pytest.fixture
def durable() -> Iterator[Postgres]:
    """A server with the settings of the deployment; that of the other tests never syncs."""
    with Postgres() as server:
        yield server


def test_committed_rows_survive_a_killed_database(durable: Postgres) -> None:
    database = durable.fresh_database("org")
    with connect(database.owner_url) as owner:
        owner.execute("CREATE TABLE things (name text)")
    with connect(database.app_url) as app:
        app.execute("INSERT INTO things VALUES ('kept')")

        durable.kill()

    with pytest.raises(psycopg.OperationalError):
        connect(database.app_url)
    durable.restart()
    with connect(database.app_url) as app:
        assert app.execute("SELECT name FROM things").fetchall() == [("kept",)]


def test_a_service_publishes_to_its_own_exchange_and_reads_its_own_queue(
    urls: dict[str, str],
) -> None:
    channel = channel_of(urls["shop"])

    channel.basic_publish_confirm(amqp.Message("hello"), "shop", "shop.hello.v1", timeout=60)

    message = channel.basic_get("shop.inbox")
    assert message.body == "hello"
    channel.basic_ack(message.delivery_tag)
    channel.connection.close()


def test_a_service_does_not_publish_to_another_exchange(urls: dict[str, str]) -> None:
    for exchange in ("till", "amq.topic", ""):
        with pytest.raises(amqp.AccessRefused):
            channel_of(urls["shop"]).basic_publish_confirm(
                amqp.Message("forged"), exchange, "till.inbox", timeout=60
            )


def test_a_service_does_not_read_another_queue(urls: dict[str, str]) -> None:
    with pytest.raises(amqp.AccessRefused):
        channel_of(urls["shop"]).basic_get("till.inbox")


def test_a_service_declares_nothing_and_deletes_inbox_queues_only(urls: dict[str, str]) -> None:
    with pytest.raises(amqp.AccessRefused):
        channel_of(urls["shop"]).queue_declare("shop.mine", durable=True, auto_delete=False)
    with pytest.raises(amqp.AccessRefused):
        channel_of(urls["shop"]).exchange_declare("shop.mine", "topic")
    for queue in ("shop.dead", "till.inbox"):
        with pytest.raises(amqp.AccessRefused):
            channel_of(urls["shop"]).queue_delete(queue)
    assert channel_of(urls["shop"]).queue_delete("shop.inbox.4.0") == 0


def test_there_is_no_guest_user(rabbitmq: RabbitMQ) -> None:
    with pytest.raises(amqp.AccessRefused):
        channel_of(rabbitmq.url("guest", "guest"))


def test_confirmed_messages_survive_a_killed_broker(
    rabbitmq: RabbitMQ, urls: dict[str, str]
) -> None:
    publisher = channel_of(urls["till"])
    publisher.basic_publish_confirm(
        amqp.Message("kept", delivery_mode=2), "till", "till.kept.v1", timeout=60
    )

    rabbitmq.kill()

    with pytest.raises(OSError):
        channel_of(urls["till"])
    rabbitmq.restart()
    message = channel_of(urls["till"]).basic_get("till.inbox")
    assert message.body == "kept"


def test_a_missing_server_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "_find_rabbitmq", lambda: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(
        ServerMissing, match=r"apt-get install rabbitmq-server.*start a Docker engine"
    ):
        installation.rabbitmq_scripts()
