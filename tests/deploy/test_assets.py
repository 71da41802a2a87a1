"""Browser files are exactly as locked or absent; an unreachable registry does not stop a set-up."""

import gzip
import hashlib
import json
import shutil
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from tarfile import TarFile, TarInfo
from threading import Thread

import pytest
from clientele import assets

pytestmark = pytest.mark.skipif(not shutil.which("npm"), reason="npm is not here")
SCRIPT = b"/* a script of somebody's */"


def packed(script: bytes) -> bytes:
    """A package as a registry serves it."""
    made = BytesIO()
    with TarFile.open(fileobj=made, mode="w") as tar:
        for name, content in (
            ("package/package.json", b'{"name": "htmx.org", "version": "2.0.11"}'),
            ("package/dist/htmx.min.js", script),
        ):
            info = TarInfo(name)
            info.size = len(content)
            tar.addfile(info, BytesIO(content))
    return gzip.compress(made.getvalue(), mtime=0)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, bytes]]:
    """A local registry; the test decides what it serves."""
    hands_out: dict[str, bytes] = {}

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(hands_out["htmx.org"] if self.path.endswith(".tgz") else self.index())

        def index(self) -> bytes:
            dist = {"tarball": f"http://{self.headers['Host']}/htmx.org/-/htmx.org-2.0.11.tgz"}
            return json.dumps(
                {
                    "name": "htmx.org",
                    "versions": {
                        "2.0.11": {"name": "htmx.org", "version": "2.0.11", "dist": dist},
                    },
                }
            ).encode()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("NPM_CONFIG_CACHE", str(tmp_path / "cache"))
    yield hands_out
    server.shutdown()
    server.server_close()


@pytest.fixture
def console(tmp_path: Path) -> Path:
    """A console whose lock names one package by its hash."""
    browser, static = tmp_path / "console" / "browser", tmp_path / "console" / "console" / "static"
    browser.mkdir(parents=True)
    static.mkdir(parents=True)
    wanted = {"dependencies": {"htmx.org": "2.0.11"}}
    integrity = "sha512-" + b64encode(hashlib.sha512(packed(SCRIPT)).digest()).decode()
    (browser / "package.json").write_text(json.dumps(wanted))
    (browser / "package-lock.json").write_text(
        json.dumps(
            {
                "lockfileVersion": 3,
                "packages": {
                    "": wanted,
                    "node_modules/htmx.org": {"version": "2.0.11", "integrity": integrity},
                },
            }
        )
    )
    return tmp_path / "console"


def served(console: Path) -> Path:
    return console / "console" / "static" / "vendor" / "htmx.min.js"


def test_the_locked_file_is_put_where_it_is_served(
    console: Path, registry: dict[str, bytes]
) -> None:
    registry["htmx.org"] = packed(SCRIPT)

    assert assets.fetch(console) == ""
    assert served(console).read_bytes() == SCRIPT


def test_a_file_that_differs_from_the_lock_stops_the_set_up(
    console: Path, registry: dict[str, bytes]
) -> None:
    registry["htmx.org"] = packed(SCRIPT + b" and more")

    with pytest.raises(assets.Mismatch, match="EINTEGRITY"):
        assets.fetch(console)
    assert not served(console).exists()


def test_an_unreachable_registry_is_reported_in_one_line(
    console: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9/")
    monkeypatch.setenv("NPM_CONFIG_CACHE", str(tmp_path / "cache"))

    message = assets.fetch(console)

    assert "the console works without" in message.lower() and "\n" not in message
    assert not served(console).exists()


def test_the_lock_names_a_hash_for_each_and_no_registry() -> None:
    lock = json.loads((assets.CONSOLE / "browser" / "package-lock.json").read_text())["packages"]
    packages = {name: row for name, row in lock.items() if name}

    assert packages
    assert all(
        row["integrity"].startswith("sha512-") and "resolved" not in row
        for row in packages.values()
    )
