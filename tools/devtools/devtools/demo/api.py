"""The system as any web client sees it: its public API over HTTP, and nothing else."""

import json
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import urllib3

SECONDS = 30.0
TRIES = 6


class Unreachable(Exception):
    """There is no response from the address."""


@dataclass(frozen=True)
class Answer:
    """A response. ``replayed``: the first response to an earlier request with the same key;
    ``file``: a body that is not JSON, ``media``: its content type."""

    method: str
    path: str
    status: int
    body: dict[str, Any] = field(default_factory=dict)
    replayed: bool = False
    retry_after: float = 0.0
    media: str = ""
    file: bytes = field(default=b"", repr=False)

    @property
    def in_words(self) -> str:
        """The status and, if refused, the error code."""
        code = self.body.get("code") if self.status >= 400 else None
        return f"{self.status} {code}" if code else str(self.status)

    @property
    def must_be_sent_again(self) -> bool:
        """Whether the server asked to try again later."""
        return self.status in (429, 503) or self.body.get("code") == "idempotency_key_in_progress"


class Api:
    """The API for one signed-in person. Signs in again when the token has expired. Threads may
    share it. ``tries``: how often it sends a request again when the server asks for that."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self.tries = TRIES
        self._pool = urllib3.PoolManager(maxsize=8, retries=False, timeout=SECONDS)
        self._lock = threading.Lock()
        self._credentials: dict[str, str] = {}
        self._token = ""

    def sign_in(self, email: str, password: str) -> Answer:
        """Sign in; the following requests use this session."""
        self._credentials = {"email": email, "password": password}
        answer = self._patiently("POST", "/v1/sessions", self._credentials, {})
        self._token = answer.body.get("access_token", "")
        return answer

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        key: str | None = None,
        wait: int = 0,
    ) -> Answer:
        """Send one request. ``key``: its Idempotency-Key; ``wait``: seconds to wait for the
        outcome.

        Raises Unreachable."""
        headers = {"Idempotency-Key": key} if key else {}
        if wait:
            headers["Prefer"] = f"wait={wait}"
        used = self._token
        answer = self._patiently(method, path, body, headers | _bearer(used))
        if answer.status == 401 and used and answer.body.get("code") != "token_revoked":
            self._renew(used)
            answer = self._patiently(method, path, body, headers | _bearer(self._token))
        return answer

    def _renew(self, used: str) -> None:
        with self._lock:
            if self._token == used:
                self.sign_in(**self._credentials)

    def _patiently(
        self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]
    ) -> Answer:
        answer = self._once(method, path, body, headers)
        for _ in range(self.tries):
            if not answer.must_be_sent_again:
                break
            time.sleep(min(answer.retry_after, 10.0))
            answer = self._once(method, path, body, headers)
        return answer

    def _once(
        self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]
    ) -> Answer:
        sent = None if body is None else json.dumps(body).encode()
        if sent is not None:
            headers = headers | {"Content-Type": "application/json"}
        try:
            response = self._pool.request(method, self.base_url + path, body=sent, headers=headers)
        except urllib3.exceptions.HTTPError as problem:
            raise Unreachable(f"{self.base_url} does not answer: {problem}") from problem
        media = response.headers.get("Content-Type", "")
        return Answer(
            method,
            path,
            response.status,
            _parsed(response.data),
            response.headers.get("Idempotent-Replayed") == "true",
            _seconds(response.headers.get("Retry-After", "")),
            media,
            b"" if media.endswith("json") else response.data,
        )


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _seconds(text: str) -> float:
    return float(text) if re.fullmatch(r"[0-9]{1,6}", text) else 1.0
