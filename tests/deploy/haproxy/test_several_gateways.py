"""A name of several gateways."""

import base64
import contextlib
import json
import socket
import threading

from tests.deploy.haproxy.conftest import Start
from tests.deploy.haproxy.recording_server import Upstream
from tests.deploy.haproxy.sending import eventually, is_served, send


def test_a_name_may_resolve_to_several_gateways(start: Start) -> None:
    """As with a platform's name server, which knows the current instances."""
    first = Upstream()
    second = Upstream("127.0.0.2", first.server_port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as names:
        names.bind(("127.0.0.1", 0))
        threading.Thread(
            target=answer_names, args=(names, ["127.0.0.1", "127.0.0.2"]), daemon=True
        ).start()
        dns = f"127.0.0.1:{names.getsockname()[1]}"
        proxy = start(first.server_port, GATEWAY_HOST="gateway", GATEWAY_SLOTS="4", GATEWAY_DNS=dns)
        assert eventually(lambda: is_served(proxy) and bool(first.seen) and bool(second.seen))
    first.stop()
    second.stop()


def test_each_tenants_downloads_and_uploads_go_to_one_gateway(start: Start) -> None:
    """A gateway counts in memory, so its limits hold for a tenant only if all its requests of a
    kind meet there."""
    first = Upstream()
    second = Upstream("127.0.0.2", first.server_port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as names:
        names.bind(("127.0.0.1", 0))
        threading.Thread(
            target=answer_names, args=(names, ["127.0.0.1", "127.0.0.2"]), daemon=True
        ).start()
        dns = f"127.0.0.1:{names.getsockname()[1]}"
        proxy = start(first.server_port, GATEWAY_HOST="gateway", GATEWAY_SLOTS="4", GATEWAY_DNS=dns)
        assert eventually(lambda: is_served(proxy) and bool(first.seen) and bool(second.seen))
        first.seen.clear()
        second.seen.clear()
        for tenant in range(12):
            for session in range(3):
                token = {"Authorization": f"Bearer {unsigned(f'org_{tenant}', session)}"}
                paths = (f"/v1/x.pdf?t={tenant}", f"/v1/usage?t={tenant}")
                assert [send(proxy, "GET", path, headers=token)[0] for path in paths] == [200, 200]
    tenants = [{path for _, path, *_ in gateway.seen} for gateway in (first, second)]
    assert not tenants[0] & tenants[1]
    assert all(tenants), "the tenants are spread"
    first.stop()
    second.stop()


def unsigned(organization: str, session: int) -> str:
    """An access token as the proxy reads it, without verifying it."""
    parts = ({"alg": "Ed25519"}, {"org": organization, "sid": f"ses_{session}"})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    return b".".join([*encoded, b"c2lnbmF0dXJl"]).decode()


def answer_names(line: socket.socket, addresses: list[str]) -> None:
    """A name server that knows these addresses by any name, and no other kind of record."""
    with contextlib.suppress(OSError):
        while True:
            query, client = line.recvfrom(512)
            end = query.index(b"\0", 12) + 5
            answers = addresses if query[end - 4 : end - 2] == b"\0\1" else []
            records = [
                b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(address) for address in answers
            ]
            head = query[:2] + b"\x81\x80\0\1" + len(answers).to_bytes(2, "big") + b"\0\0\0\0"
            line.sendto(head + query[12:end] + b"".join(records), client)
