"""The client of the public API at the gateway, the only service the console calls."""

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from chassis.errors import Unavailable
from chassis.http.client import ServiceResponse, Stream, StreamingTransport

_POOL = ThreadPoolExecutor(max_workers=32, thread_name_prefix="card")


class Refusal(Exception):
    """The API refused a request, or did not respond (503). ``code``: its stable code; ``errors``:
    about single fields; ``more``: the whole problem document; ``retry_after``: seconds."""

    # A 401 with these codes is about the entered values, not about the token.
    WRONG_CREDENTIALS = ("invalid_credentials", "otp_required", "invalid_otp")

    def __init__(
        self, status: int, problem: Mapping[str, Any], retry_after: int | None = None
    ) -> None:
        self.status, self.more = status, problem
        self.code = str(problem.get("code", "error"))
        self.detail = str(
            problem.get("detail") or problem.get("title") or "The request was refused."
        )
        self.errors: list[dict[str, str]] = list(problem.get("errors", ()))
        self.retry_after = retry_after
        super().__init__(f"{status} {self.code}")


@dataclass(frozen=True)
class Api:
    """The API with a set of headers and, usually, a token. ``renew``: how to get another access
    token when this one is refused."""

    transport: StreamingTransport
    headers: Mapping[str, str]
    token: str = field(default="", repr=False)
    renew: Callable[[], str] | None = field(default=None, repr=False)

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a GET. Raises Refusal."""
        return self.ask("GET", _with(path, query)).json()

    def post(self, path: str, body: Any = None, *, key: str = "", wait: int = 0) -> Any:
        """The JSON of a POST. ``key``: the Idempotency-Key; ``wait``: seconds to wait for the
        outcome."""
        return self._send("POST", path, body, key=key, wait=wait)

    def patch(self, path: str, body: Any, *, match: str = "", wait: int = 0) -> Any:
        """The JSON of a PATCH. ``match``: the ETag that the resource must still have."""
        return self._send("PATCH", path, body, match=match, wait=wait)

    def delete(self, path: str, body: Any = None, *, wait: int = 0) -> Any:
        """The JSON of a DELETE, None for an empty response."""
        return self._send("DELETE", path, body, wait=wait)

    def _send(
        self, method: str, path: str, body: Any, *, key: str = "", match: str = "", wait: int = 0
    ) -> Any:
        more = {"Idempotency-Key": key, "If-Match": match, "Prefer": f"wait={wait}" if wait else ""}
        response = self.ask(
            method, path, body, **{name: value for name, value in more.items() if value}
        )
        return response.json() if response.body else None

    def ask(self, method: str, target: str, body: Any = None, **headers: str) -> ServiceResponse:
        """Send one request. If the token is refused, nothing has happened yet, so the request is
        repeated with a new one.

        Raises Refusal, also if the API does not respond (503)."""
        token = self.token
        response = self._once(method, target, body, headers, token)
        if (
            response.status == 401
            and self.renew
            and _problem(response).get("code") not in Refusal.WRONG_CREDENTIALS
        ):
            response = self._once(method, target, body, headers, self.renew())
        if response.status >= 400:
            raise Refusal(response.status, _problem(response), _seconds(response))
        return response

    def stream(self, path: str, accept: str, **query: Any) -> Iterator[bytes]:
        """A large response of another content type, in pieces. Raises Refusal, also if the API does
        not respond (503)."""
        target = _with(path, query)
        response = self._opened(target, accept, self.token)
        if response.status == 401 and self.renew:
            response = self._opened(target, accept, self.renew())
        if response.status >= 400:
            whole = ServiceResponse(response.status, response.headers, b"".join(response.chunks))
            raise Refusal(whole.status, _problem(whole), _seconds(whole))
        return response.chunks

    def _opened(self, target: str, accept: str, token: str) -> Stream:
        sent = {**self.headers, "Accept": accept, "Authorization": f"Bearer {token}"}
        try:
            return self.transport.stream(target, sent)
        except Unavailable as problem:
            raise Refusal(503, {"code": problem.code, "detail": problem.detail}, 1) from problem

    def _once(
        self, method: str, target: str, body: Any, headers: Mapping[str, str], token: str
    ) -> ServiceResponse:
        sent = {"Accept": "application/json", **self.headers, **headers}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            return self.transport.send(
                method, target, sent, None if body is None else json.dumps(body).encode()
            )
        except Unavailable as problem:
            raise Refusal(503, {"code": problem.code, "detail": problem.detail}, 1) from problem


@dataclass(frozen=True)
class Missing:
    """Takes the place of a response that could not be loaded."""

    refusal: Refusal

    def __bool__(self) -> bool:
        return False


def fetch_all(**requests: Callable[[], Any]) -> dict[str, Any]:
    """Make several requests at the same time: name -> result, or ``Missing`` where the API refused
    or did not respond.

    Raises Refusal if the user is signed out or has to set up one-time codes first, because then no
    page can be shown."""
    running = {name: _POOL.submit(_or_missing, send) for name, send in requests.items()}
    results = {name: future.result() for name, future in running.items()}
    for response in results.values():
        if isinstance(response, Missing) and (
            response.refusal.status == 401 or response.refusal.code == "mfa_required"
        ):
            raise response.refusal
    return results


def _or_missing(send: Callable[[], Any]) -> Any:
    try:
        return send()
    except Refusal as refusal:
        return Missing(refusal)


def _with(path: str, query: Mapping[str, Any]) -> str:
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(given, doseq=True)}" if given else path


def _problem(response: ServiceResponse) -> Mapping[str, Any]:
    try:
        problem = response.json()
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {}


def _seconds(response: ServiceResponse) -> int | None:
    value = response.headers.get("Retry-After", "")
    return int(value) if value.isdigit() else None
