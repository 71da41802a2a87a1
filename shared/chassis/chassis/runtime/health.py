"""How others learn whether a role works: ``/healthz`` and ``/readyz`` of roles that serve nothing
else, and a file for the health check of a container, which costs no process of ours."""

import json
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from chassis.runtime import log, readiness
from chassis.runtime.outages import Outage
from chassis.runtime.readiness import Readiness

# A client of a health port that is silent for longer is cut off.
SECONDS = 5
# Between two looks at the readiness of a role that is ready, and for how long each counts.
EVERY, VALID = 10.0, 30
# Before the first look, which would otherwise come before the first success; after one that found
# the role not ready.
FIRST, UNREADY = 1.0, 2.0
_LOG = log.get("health")
_STATUS = {200: "200 OK", 404: "404 Not Found", 503: "503 Service Unavailable"}


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each connection, so that a silent client keeps no other waiting."""

    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        pass


class _Silent(WSGIRequestHandler):
    timeout = SECONDS

    def log_message(self, *_: Any) -> None:
        pass


def serve(ready: Readiness, host: str, port: int) -> None:
    """Serve the health endpoints in a thread. Without Flask, which a role would need for nothing
    else."""

    def respond(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body, status = _response(ready, environ["PATH_INFO"])
        headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
        start_response(_STATUS[status], headers)
        return [json.dumps(body).encode() + b"\n"]

    server = make_server(host, port, respond, server_class=_Server, handler_class=_Silent)
    threading.Thread(target=server.serve_forever, args=(5.0,), daemon=True).start()


def _response(ready: Readiness, path: str) -> tuple[dict[str, Any], int]:
    if path == "/healthz":
        return {"status": "ok"}, 200
    if path == "/readyz":
        return readiness.report(ready.outcome())
    return {"status": "not found"}, 404


def note(
    ready: Readiness,
    file: str,
    *,
    every: float = EVERY,
    valid: int = VALID,
    stop: threading.Event | None = None,
) -> None:
    """While the role is ready, keep writing into the file, in a thread, until when that counts, in
    seconds since the machine started; nothing if there is no file. What has stopped, hangs or is
    frozen writes nothing. Of several processes with one file, one that is ready is enough. Ends
    when told to ``stop``."""
    if not file:
        return

    def write() -> None:
        stopped = stop or threading.Event()
        outage = Outage(_LOG, "readiness_file.failed", "readiness_file.recovered")
        stopped.wait(min(FIRST, every))
        while not stopped.is_set():
            pause = min(UNREADY, every)
            try:
                if all(result == "ok" for result in ready.outcome().values()):
                    _replace(Path(file), f"{_uptime() + valid}\n")
                    pause = every
            except Exception as problem:
                outage.failed(problem)
            else:
                outage.over()
            stopped.wait(pause)

    threading.Thread(target=write, daemon=True).start()


def _uptime() -> int:
    # Not a clock of Python's: the reader has this file only.
    return int(float(Path("/proc/uptime").read_text().split()[0]))


def _replace(file: Path, text: str) -> None:
    """So that no reader finds half of it."""
    new = file.with_name(f"{file.name}.{os.getpid()}")
    new.write_text(text)
    new.replace(file)
