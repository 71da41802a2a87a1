"""The bill of materials follows the locks. Advisories about it are listed; the command says when
nobody could be asked."""

import json
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner
from devtools import supply_chain
from devtools.commands import main
from devtools.ports import free_port

ROOT = supply_chain.ROOT
LOCKED = {
    package["name"]: package for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]
}


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    return supply_chain.bill_of_materials()


def test_it_lists_what_is_shipped_with_hashes(bill: dict[str, Any]) -> None:
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    libraries = {part["name"]: part for part in bill["components"] if "purl" in part}

    assert {"flask", "sqlalchemy", "kombu", "gunicorn", "cryptography"} <= libraries.keys()
    assert not {"pytest", "ruff", "mypy", "hypothesis"} & libraries.keys()
    for name, part in libraries.items():
        if part["purl"].startswith("pkg:pypi/"):
            assert part["version"] == LOCKED[name]["version"]
            assert "externalReferences" in part, "with the hash of each file"
    browser = json.loads(supply_chain.BROWSER_LOCK.read_text())["packages"]
    shipped = {path for path, package in browser.items() if path and not package.get("dev")}
    assert {path.removeprefix("node_modules/") for path in shipped} == {
        part["name"] for part in libraries.values() if part["purl"].startswith("pkg:npm/")
    }


@contextmanager
def osv(known: dict[str, list[str]]) -> Iterator[str]:
    """Answers as osv.dev does, with these advisories."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            queries = json.loads(self.rfile.read(size))["queries"]
            purls = [query["package"]["purl"] for query in queries]
            names = [purl.rpartition("/")[2].partition("@")[0] for purl in purls]
            results = [
                {"vulns": [{"id": each} for each in known[name]]} if name in known else {}
                for name in names
            ]
            body = json.dumps({"results": results}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_advisories_are_listed_and_fail_the_command(
    bill: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supply_chain, "bill_of_materials", lambda: bill)

    def run(url: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["advisories", "--url", url])
        return result.exit_code, result.output

    with osv({"kombu": ["GHSA-1", "PYSEC-2"]}) as url:
        code, output = run(url)
    assert code == 1
    assert f"pkg:pypi/kombu@{LOCKED['kombu']['version']}: GHSA-1, PYSEC-2" in output
    with osv({}) as url:
        assert run(url) == (0, "Advisories: 0 packages have one.\n")
    code, output = run(f"http://127.0.0.1:{free_port()}")
    assert (code, "NOT CHECKED" in output) == (0, True)
