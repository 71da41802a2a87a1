"""A server that records what reaches it."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Upstream(ThreadingHTTPServer):
    """Stands for the gateway or the console. Remembers every request but the health checks."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(
        self, address: str = "127.0.0.1", port: int = 0, context: ssl.SSLContext | None = None
    ) -> None:
        super().__init__((address, port), Handler)
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.seen: list[tuple[str, str, dict[str, str], int]] = []
        self.hold = threading.Event()
        self.headers: list[tuple[str, str]] = []
        threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    def handle_error(self, request: object, client_address: object) -> None:
        """The proxy may close the connection."""

    def stop(self) -> None:
        self.hold.set()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def do_GET(self) -> None:
        body = self._body()
        if self.path != "/healthz":
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.server.seen.append((self.command, self.path, headers, len(body)))
        if self.path in ("/v1/hold", "/hold"):
            self.server.hold.wait(20)
        if self.path in ("/v1/hang-up", "/hang-up"):
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Length", "2")
        for name, value in self.server.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"ok")

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_GET  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def log_message(self, *_: object) -> None:
        pass
