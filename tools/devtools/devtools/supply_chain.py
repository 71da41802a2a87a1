"""What the system is made of, by its locks, and which published advisories are about that."""

import base64
import json
import os
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
UV = ROOT / ".tools" / "bin" / "uv"
BROWSER_LOCK = ROOT / "services" / "console" / "browser" / "package-lock.json"
# Takes 1000 packages at once: https://google.github.io/osv.dev/post-v1-querybatch/
OSV = "https://api.osv.dev/v1/querybatch"
_SECONDS = 10


class CouldNotAsk(Exception):
    """The advisories could not be fetched."""


def bill_of_materials() -> dict[str, Any]:
    """CycloneDX 1.5: every package that an image or the embedded system may have, with hashes."""
    command = [str(UV), "export", "--frozen", "--no-dev", "--all-packages", "--quiet"]
    exported = subprocess.run(  # noqa: S603 - our own tool
        [*command, "--format", "cyclonedx1.5"],
        cwd=ROOT,
        env=os.environ | {"UV_PYTHON_DOWNLOADS": "never"},
        check=True,
        text=True,
        capture_output=True,
    )
    bill: dict[str, Any] = json.loads(exported.stdout)
    bill["components"] += _browser_components(json.loads(BROWSER_LOCK.read_text()))
    return bill


def advisories(bill: dict[str, Any], *, url: str = OSV) -> dict[str, list[str]]:
    """Package URL -> ids of the advisories about it. Raises CouldNotAsk."""
    packages = sorted({part["purl"] for part in bill["components"] if "purl" in part})
    body = {"queries": [{"package": {"purl": purl}} for purl in packages]}
    request = urllib.request.Request(  # noqa: S310 - https, or a test's own server
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as response:  # noqa: S310
            results = json.load(response)["results"]
    except (OSError, urllib.error.URLError, ValueError, KeyError) as problem:
        raise CouldNotAsk(str(problem)) from problem
    if len(results) != len(packages):
        raise CouldNotAsk("the answer is not about what was asked")
    concerned = {
        purl: [advisory["id"] for advisory in result.get("vulns", ())]
        for purl, result in zip(packages, results, strict=True)
    }
    return {purl: ids for purl, ids in concerned.items() if ids}


def _browser_components(lock: dict[str, Any]) -> list[dict[str, Any]]:
    """The packages that the console's pages load."""
    return [
        {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": package["version"],
            "purl": purl,
            "hashes": [{"alg": "SHA-512", "content": _hexadecimal(package["integrity"])}],
        }
        for path, package in lock["packages"].items()
        if path and not package.get("dev")
        for name in [path.removeprefix("node_modules/")]
        for purl in [f"pkg:npm/{name.replace('@', '%40')}@{package['version']}"]
    ]


def _hexadecimal(integrity: str) -> str:
    return base64.b64decode(integrity.removeprefix("sha512-")).hex()
