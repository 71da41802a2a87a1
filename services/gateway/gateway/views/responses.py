"""How the gateway sends a service's response, or a problem of its own, to the client."""

import json
from collections.abc import Iterable, Iterator
from http.client import responses
from wsgiref.types import StartResponse

from chassis.errors import Failure
from chassis.http import problems
from chassis.runtime import log

from gateway.clients import UpstreamResponse

_LOG = log.get("gateway")
_PASSED = {
    "allow",
    "cache-control",
    "content-disposition",
    "content-language",
    "content-length",
    "content-type",
    "etag",
    "idempotent-replayed",
    "last-modified",
    "link",
    "location",
    "preference-applied",
    "retry-after",
    "vary",
    "www-authenticate",
}


def problem_response(problem: Exception, instance: str) -> UpstreamResponse:
    """The problem document about a failure; anything unexpected is logged and becomes 500."""
    if isinstance(problem, Failure):
        status, extra = problems.status_of(problem), problem.extra
        code, detail = problem.code, problem.detail
    else:
        _LOG.error("request.failed", exc_info=problem)
        status, extra = 500, {}
        code, detail = "internal_error", "Something went wrong on our side. Try again."
    body = json.dumps(problems.problem_about(instance, status, code, detail, extra)).encode()
    headers = [("Content-Type", "application/problem+json"), ("Content-Length", str(len(body)))]
    if status in (429, 503):
        headers.append(("Retry-After", str(extra.get("retry_after", 1))))
    if status == 401:
        headers.append(("WWW-Authenticate", "Bearer"))
    return UpstreamResponse(status, headers, (body,), lambda: None)


def respond(
    response: UpstreamResponse, request_id: str, start_response: StartResponse
) -> Iterable[bytes]:
    """Send the response; it is closed once the client has it or is gone."""
    headers = [pair for pair in response.headers if pair[0].lower() in _PASSED]
    if not any(name.lower() == "cache-control" for name, _ in headers):
        headers.append(("Cache-Control", "no-store"))
    headers += [("X-Request-Id", request_id), ("X-Content-Type-Options", "nosniff")]
    start_response(f"{response.status} {responses.get(response.status, 'Unknown')}", headers)
    return _Body(response, request_id)


class _Body:
    """A body on its way. When it breaks off, the connection is cut, so that no client takes a part
    for the whole."""

    def __init__(self, response: UpstreamResponse, request_id: str) -> None:
        self._response, self._request_id = response, request_id

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._response.body
        except Exception:
            _LOG.warning("stream.broken", request_id=self._request_id)
            raise

    def close(self) -> None:
        """Called by the server at the end, also when the client is gone."""
        self._response.close()
