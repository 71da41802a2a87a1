"""TLS, towards clients and towards the gateway."""

import http.client
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.haproxy.conftest import CONFIG, Start
from tests.deploy.haproxy.recording_server import Upstream
from tests.deploy.haproxy.sending import client_of, send


def test_tls_ends_here_with_the_certificate_of_the_secrets(
    start: Start, upstream: Upstream, tmp_path: Path
) -> None:
    subprocess.run(
        [sys.executable, CONFIG.parents[1] / "secrets.py", tmp_path / "secrets"],
        check=True,
        capture_output=True,
    )
    certificate = tmp_path / "secrets/tls_certificate"
    trusting = ssl.create_default_context(cafile=certificate)
    proxy = start(
        upstream.server_port,
        BIND_OPTIONS=f"ssl crt {certificate} alpn http/1.1",
        context=trusting,
    )

    assert send(proxy, "GET", "/v1/me", context=trusting)[0] == 200
    assert client_of(upstream) == "127.0.0.1"
    with pytest.raises(http.client.HTTPException):
        send(proxy, "GET", "/v1/me")


def test_a_gateway_with_tls_must_prove_its_name(start: Start, tmp_path: Path) -> None:
    for words in (("",), ("tls",)):
        command = [sys.executable, CONFIG.parents[1] / "secrets.py", *filter(None, words)]
        subprocess.run([*command, tmp_path / "secrets"], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "secrets/gateway_tls")
    gateway = Upstream(context=context)
    options = f"ssl verify required ca-file {tmp_path}/secrets/tls_authorities verifyhost"

    proxy = start(gateway.server_port, GATEWAY_OPTIONS=f"{options} gateway")
    assert send(proxy, "GET", "/v1/me")[0] == 200
    start(gateway.server_port, wait_for=503, GATEWAY_OPTIONS=f"{options} another")
    gateway.stop()
