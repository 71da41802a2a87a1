"""Fake services behind the gateway, and tokens."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from joserfc import jwt
from joserfc.jwk import OKPKey

KEY = OKPKey.generate_key("Ed25519", {"kid": "k1"})
ORG = "org_01k5vqk0mze4ab7x9s2fwnt3hc"
SECRET = "the-gateways-own-secret"
BASIC = "Basic Z2F0ZXdheTp0aGUtZ2F0ZXdheXMtb3duLXNlY3JldA=="


def claims(**other: Any) -> dict[str, Any]:
    now = time.time()
    standard = {
        "iss": "clientele",
        "aud": "clientele",
        "sub": "idn_1",
        "org": ORG,
        "kind": "provider",
        "role": "owner",
        "scope": "",
        "sid": "ses_1",
        "mid": "mem_1",
        "iat": now - 1,
        "nbf": now - 1,
        "exp": now + 300,
        "jti": "evt_1",
    }
    return {**standard, **other}


def token(header: dict[str, Any] | None = None, key: Any = KEY, **other: Any) -> str:
    head = {"alg": "Ed25519", "typ": "at+jwt", "kid": "k1", **(header or {})}
    return jwt.encode(head, claims(**other), key, algorithms=["Ed25519", "ES256", "HS256"])


def bearer(**other: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(**other)}"}


@dataclass
class Seen:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Fake:
    """One service: answers health, feed, JWKS and OpenAPI automatically, everything else by
    ``answer``."""

    name: str
    entries: list[dict[str, Any]] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    openapi: dict[str, Any] = field(default_factory=lambda: {"openapi": "3.1.0", "paths": {}})
    status: str = "200 OK"
    headers: list[tuple[str, str]] = field(
        default_factory=lambda: [("Content-Type", "application/json")]
    )
    body: Callable[[], Iterator[bytes]] | bytes = b"{}"
    ready: bool = True
    silent: bool = False
    polls: int = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        if path == "/readyz":
            start_response("200 OK" if self.ready else "503 Service Unavailable", [])
            return [b"{}"]
        if path == "/.well-known/jwks.json" and "HTTP_X_REQUEST_ID" not in environ:
            return self._json(start_response, {"keys": [KEY.as_dict(private=False)]})
        if path.startswith("/internal/"):
            return self._internal(environ, start_response)
        query = environ.get("QUERY_STRING", "")
        length = int(environ.get("CONTENT_LENGTH") or 0)
        headers = {key[5:]: value for key, value in environ.items() if key.startswith("HTTP_")}
        headers |= {"CONTENT_TYPE": environ["CONTENT_TYPE"]} if environ.get("CONTENT_TYPE") else {}
        self.seen.append(
            Seen(
                environ["REQUEST_METHOD"],
                path + (f"?{query}" if query else ""),
                headers,
                environ["wsgi.input"].read(length),
            )
        )
        length_known = isinstance(self.body, bytes) and not any(
            n == "Content-Length" for n, _ in self.headers
        )
        start_response(
            self.status,
            self.headers + ([("Content-Length", str(len(self.body)))] if length_known else []),
        )  # type: ignore[arg-type]
        return [self.body] if isinstance(self.body, bytes) else self.body()

    def _internal(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ.get("HTTP_AUTHORIZATION") != BASIC or self.silent:
            start_response("401 Unauthorized", [])
            return [b""]
        if environ["PATH_INFO"] == "/internal/openapi.json":
            return self._json(start_response, self.openapi)
        self.polls += 1
        after = int(environ["QUERY_STRING"].removeprefix("after="))
        new = [entry for entry in self.entries if entry["seq"] > after]
        return self._json(
            start_response,
            {"entries": new, "last": max((e["seq"] for e in self.entries), default=0)},
        )

    def _json(self, start_response: Any, value: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(value).encode()]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def serve(app: Any) -> tuple[str, Callable[[], None]]:
    """Serve the application on a free port; returns its address and how to stop it."""
    server = make_server("127.0.0.1", 0, app, server_class=_Server, handler_class=_Quiet)
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    ).start()

    def end() -> None:
        server.shutdown()
        server.server_close()

    return f"http://127.0.0.1:{server.server_port}", end
