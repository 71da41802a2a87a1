"""TLS to the database, to the broker and between services: only servers that prove their name by a
certificate of the right authority are believed."""

import importlib.util
import os
import secrets
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from chassis.db.database import Database
from chassis.errors import Unavailable
from chassis.http.transport import HttpTransport
from chassis.messaging import broker
from chassis.runtime.paced_socket import Pace, PacedTlsSocket
from devtools.ports import free_port
from devtools.servers import Postgres, RabbitMQ
from gateway.clients import HttpUpstream
from kombu.exceptions import OperationalError
from sqlalchemy.exc import OperationalError as DatabaseUnavailable

from tests.waiting import until

SCRIPT = Path(__file__).parents[2] / "deploy/secrets.py"
SERVER = """
import sys
from chassis.runtime.web_server import WebServer

def application(environ, start_response):
    start_response("200 OK", [])
    return [environ["wsgi.url_scheme"].encode()]

port, certificate = sys.argv[1:]
WebServer(lambda: application, f"127.0.0.1:{port}", 1, 1, certificate=certificate).run()
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Certificates as deploy/secrets.py makes them: of ``right`` for this machine, and of it for
    another; ``wrong``: another authority."""
    spec = importlib.util.spec_from_file_location("deploy_secrets", SCRIPT)
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    folder, other = tmp_path_factory.mktemp("right"), tmp_path_factory.mktemp("wrong")
    for each in (folder, other):
        script.main(each)
        script.make_tls(each)
    here, elsewhere = folder / "here.pem", folder / "org_tls"
    here.write_text("".join(script.certificate_of(folder, "here", ["127.0.0.1"])))
    return SimpleNamespace(
        folder=folder,
        right=folder / "tls_authorities",
        wrong=other / "tls_authorities",
        here=here,
        elsewhere=elsewhere,
    )


def given_to(server: Postgres | RabbitMQ, certificate: Path) -> Path:
    """A copy that only the server can read."""
    copy = server.folder / certificate.name
    copy.write_text(certificate.read_text())
    copy.chmod(0o600)
    owner = server.folder.stat()
    os.chown(copy, owner.st_uid, owner.st_gid)
    return copy


@pytest.fixture
def postgres_url(postgres: Postgres, files: SimpleNamespace) -> Iterator[str]:
    """A database on the server of the other tests, which has TLS meanwhile."""
    pem = given_to(postgres, files.here)
    postgres.psql(
        f"ALTER SYSTEM SET ssl_cert_file = '{pem}'; ALTER SYSTEM SET ssl_key_file = '{pem}';"
        "ALTER SYSTEM SET ssl = on; SELECT pg_reload_conf();"
    )
    until(lambda: "on" in postgres.psql("SHOW ssl;"))
    database = postgres.fresh_database("tls")
    yield database.app_url
    postgres.psql("ALTER SYSTEM RESET ALL; SELECT pg_reload_conf();")
    postgres.drop(database)


def test_the_database_proves_who_it_is(postgres_url: str, files: SimpleNamespace) -> None:
    def connect(authorities: Path) -> None:
        url = f"{postgres_url}?sslmode=verify-full&sslrootcert={authorities}"
        database = Database(url, pool_size=1)
        try:
            with database.reading() as session:
                connection = session.connection().connection.dbapi_connection
                assert isinstance(connection, psycopg.Connection)
                assert connection.pgconn.ssl_in_use
        finally:
            database.close()

    connect(files.right)
    with pytest.raises(DatabaseUnavailable, match="certificate verify failed"):
        connect(files.wrong)


def test_the_broker_proves_who_it_is(
    rabbitmq: RabbitMQ, files: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def listen(certificate: Path) -> int:
        port, certificate = free_port(), given_to(rabbitmq, certificate)
        options = f'[{{certfile, "{certificate}"}}, {{keyfile, "{certificate}"}}]'
        rabbitmq.rabbitmqctl(
            "eval",
            "rabbit_networking:ensure_ssl(), "
            f'rabbit_networking:start_ssl_listener({{"127.0.0.1", {port}}}, {options}, 1).',
        )
        return port

    def connect(port: int, authorities: Path) -> None:
        address = rabbitmq.url().replace("amqp://", "amqps://").replace(str(rabbitmq.port), port)
        broker.connect(f"{address}?cacertfile={authorities}", "test").release()

    here, elsewhere = str(listen(files.here)), str(listen(files.elsewhere))
    connect(here, files.right)
    for port, authorities in ((here, files.wrong), (elsewhere, files.right)):
        with pytest.raises(OperationalError, match="certificate verify failed"):
            connect(port, authorities)
    with pytest.raises(OperationalError):
        broker.connect(rabbitmq.url().replace(str(rabbitmq.port), here), "without TLS")
    # Each node proves its own name: one that cannot is left out.
    monkeypatch.setattr(broker.random, "shuffle", list.reverse)
    nodes = (
        rabbitmq.url().replace("amqp://", "amqps://").replace(str(rabbitmq.port), port)
        for port in (elsewhere, here)
    )
    cluster = ";".join(f"{node}?cacertfile={files.right}" for node in nodes)
    broker.connect(cluster, "test").release()


@pytest.fixture
def service(files: SimpleNamespace) -> Iterator[Any]:
    """Starts a service with this certificate; returns its address."""
    running = []

    def start(certificate: Path) -> str:
        port = free_port()
        command = [sys.executable, "-c", SERVER, str(port), str(certificate)]
        running.append(subprocess.Popen(command))
        until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        return f"https://127.0.0.1:{port}"

    yield start
    for process in running:
        process.terminate()
        process.wait()


def test_a_service_proves_who_it_is(service: Any, files: SimpleNamespace) -> None:
    here, elsewhere = service(files.here), service(files.elsewhere)

    for client in (HttpTransport, HttpUpstream):
        trusting = client(here, authorities=str(files.right))
        assert [trusting.send("GET", "/", {}).body for _ in range(2)] == [b"https", b"https"]
    assert trusting.forward("GET", "/", {}).read() == b"https"
    for refused in (
        HttpTransport(here, authorities=str(files.wrong)),
        HttpTransport(here),
        HttpTransport(elsewhere, authorities=str(files.right)),
        HttpTransport(here.replace("https", "http")),
    ):
        with pytest.raises(Unavailable):
            refused.send("GET", "/", {})
    with pytest.raises(Unavailable):
        HttpUpstream(here, authorities=str(files.wrong)).forward("GET", "/", {})


@pytest.mark.parametrize(("surplus", "requests"), [(b"", [2]), (b"!" * 10_000, [1, 1])])
def test_a_connection_with_tls_is_used_again_unless_more_than_the_response_has_come(
    files: SimpleNamespace, surplus: bytes, requests: list[int]
) -> None:
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(files.here)
    received: list[int] = []

    def serve(listener: socket.socket) -> None:
        for _ in requests:
            with serving.wrap_socket(listener.accept()[0], server_side=True) as connection:
                received.append(0)
                while connection.recv(65536):
                    received[-1] += 1
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + surplus)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        upstream = HttpUpstream(url, authorities=str(files.right), read=5.0)
        assert [upstream.forward("GET", "/", {}).read() for _ in range(2)] == [b"ok", b"ok"]
    assert received == requests


def test_a_slow_client_loses_its_connection_with_tls_too(
    files: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PacedTlsSocket, "pace", Pace(patience=0.05, rate=10**9, total=60))
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(files.here)
    serving.sslsocket_class = PacedTlsSocket
    trusting = ssl.create_default_context(cafile=files.right)
    silent, _client = socket.socketpair()
    with pytest.raises(ConnectionResetError, match="too slow"):
        serving.wrap_socket(silent, server_side=True)

    monkeypatch.setattr(PacedTlsSocket, "pace", Pace(patience=5, rate=10**9, total=60))
    ours, theirs = socket.socketpair()
    clients: list[ssl.SSLSocket] = []
    shaking = threading.Thread(
        target=lambda: clients.append(trusting.wrap_socket(theirs, server_hostname="127.0.0.1"))
    )
    shaking.start()
    connection = serving.wrap_socket(ours, server_side=True)
    shaking.join()
    clients[0].sendall(b"hello")
    assert connection.recv(10) == b"hello"
    connection.pace = Pace(patience=0.05, rate=10**9, total=60)
    connection.begin()
    with pytest.raises(ConnectionResetError, match="too slow"):
        connection.sendall(secrets.token_bytes(1 << 22))
    for each in (silent, _client, connection, clients[0]):
        each.close()
