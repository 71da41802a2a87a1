"""gunicorn as the web server of a service."""

import gc
import ssl
from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.workers.gthread import TConn, ThreadWorker

from chassis.runtime import health
from chassis.runtime.paced_socket import Pace, Paced, PacedSocket, PacedTlsSocket
from chassis.runtime.readiness import Progress


def _paced_tls(_config: Any, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    context = default()
    context.sslsocket_class = PacedTlsSocket
    return context


class PacedWorker(ThreadWorker):
    """A worker whose threads do not wait for slow clients without end. ``progress``: the turns of
    the loop that accepts connections."""

    pace = Pace()
    progress = Progress()

    def notify(self) -> None:
        """Tell gunicorn that this worker is alive."""
        super().notify()
        self.progress.succeeded()

    def handle(self, conn: TConn) -> Any:
        """Handle one request."""
        if not isinstance(conn.sock, Paced):
            conn.sock = PacedSocket.of(conn.sock, self.pace)
        conn.sock.begin()
        return super().handle(conn)


class WebServer(BaseApplication):
    """gunicorn with threads. Each worker builds the application after fork. ``certificate``: the
    file with certificate and private key for https; without one it is http. ``readiness_file``:
    where the workers note that they are ready; empty for nowhere."""

    def __init__(
        self,
        build: Callable[[], Any],
        bind: str,
        workers: int,
        threads: int,
        *,
        certificate: str = "",
        readiness_file: str = "",
    ) -> None:
        self._build, self._readiness_file = build, readiness_file
        self._options = {
            "bind": bind,
            "workers": workers,
            "threads": threads,
            "certfile": certificate or None,
            "ssl_context": _paced_tls,
            "worker_class": PacedWorker,
            "timeout": 30,
            "graceful_timeout": 25,
            "keepalive": 65,
            "limit_request_line": 4094,
            "limit_request_fields": 50,
            "limit_request_field_size": 4094,
            "control_socket_disable": True,
            "worker_tmp_dir": "/dev/shm",  # noqa: S108
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "warning",
        }
        super().__init__()

    def run(self) -> None:
        """Serve until stopped."""
        # Workers share the memory of what is loaded until it is written to, which looking for
        # garbage in it does.
        gc.freeze()
        super().run()

    def load_config(self) -> None:
        """Set gunicorn's options."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """The application, built in the worker."""
        app = self._build()
        if self._readiness_file:
            readiness = app.extensions["readiness"]
            readiness.add({"server": PacedWorker.progress.check})
            health.note(readiness, self._readiness_file)
        return app


def serve(build: Callable[[], Any], settings: Any) -> None:
    """Serve as the settings of a service say, until stopped."""
    WebServer(
        build,
        f"{settings.host}:{settings.port}",
        settings.web_workers,
        settings.web_threads,
        certificate=settings.tls_certificate,
        readiness_file=settings.readiness_file,
    ).run()
