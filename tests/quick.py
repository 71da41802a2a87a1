"""`make quick`: style, types, and the tests next to what changed, on PostgreSQL, in 20 seconds.

What changed: the files that differ from the last commit, or those of the last commit where none
do. Tests that would take longer are named, not run."""

import re
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUDGET = 11.0  # seconds for tests, the start of a server included
MOST_FILES = 6
NOT_QUICK = ("tests/browser/", "tests/deploy/", "tests/faults/", "tests/journeys/")
PROGRAMS = Path(sys.executable).parent


def changed() -> list[str]:
    """Paths that differ from the last commit, else those of the last commit."""
    differing = _git("diff", "--name-only", "HEAD") + _git(
        "ls-files", "--others", "--exclude-standard"
    )
    return differing or _git("diff", "--name-only", "HEAD~1", "HEAD")


def next_to(paths: Iterable[str]) -> list[str]:
    """The files of tests for these paths: changed tests, then those named after a changed module,
    then those that import it, then whatever else the service has."""
    known = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py"))
    known = [path for path in known if not path.startswith(NOT_QUICK)]
    paths = list(paths)
    chosen = [path for path in known if path in paths]
    modules = [path for path in paths if path.endswith(".py") and not path.startswith("tests/")]
    for path in modules:
        chosen += [test for test in known if _is_named_after(test, path)]
    for path in modules:
        chosen += [test for test in known if _imports(test, path)]
    for path in modules:
        chosen += [test for test in known if test.startswith(f"tests/{_service(path)}/")]
    return list(dict.fromkeys(chosen))


class Budget:
    """A plugin that begins no test after its time is over."""

    def __init__(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        if time.monotonic() > self.deadline:
            item.session.shouldstop = "the time of `make quick` is over; `make test` runs the rest"


def main() -> int:
    """Run it all; the exit code."""
    folders = [
        str(path.parent)
        for folder in ("services", "shared", "deploy", "tools")
        for path in sorted((ROOT / folder).glob("*/*/__init__.py"))
    ]
    checks = [
        _start("ruff", "check", "--quiet", "."),
        _start("ruff", "format", "--check", "--quiet", "."),
        _start("mypy", *folders),
    ]
    tests = next_to(changed())
    code = 0
    if tests:
        chosen, left = tests[:MOST_FILES], tests[MOST_FILES:]
        code = int(pytest.main(["-q", "-k", "not sqlite", *chosen], plugins=[Budget(BUDGET)]))
        if left:
            print("not run:", *left)
    else:
        print("no tests are next to what changed")
    for check in checks:
        output, _ = check.communicate()
        if check.returncode:
            print(output)
            code = 1
    return 0 if code == pytest.ExitCode.NO_TESTS_COLLECTED else code


def _is_named_after(test: str, module: str) -> bool:
    package, name = Path(module).parts[-2], Path(module).stem
    service = _service(module)
    return test.startswith(f"tests/{service}/") and bool(
        re.search(rf"test_(\w+_)?{name}(_\w+)?\.py$|/{name}/test_", test)
        or (package != service and re.search(rf"test_{package}(_\w+)?\.py$", test))
    )


def _imports(test: str, module: str) -> bool:
    name = Path(module).stem
    if not test.startswith(f"tests/{_service(module)}/"):
        return False
    text = (ROOT / test).read_text()
    return bool(re.search(rf"^(from|import) .*\b{name}\b", text, re.MULTILINE))


def _service(module: str) -> str:
    """The folder below ``services`` or ``shared``; empty where there is none."""
    parts = Path(module).parts
    return parts[1] if len(parts) > 2 else ""


def _git(*words: str) -> list[str]:
    done = subprocess.run(["git", *words], cwd=ROOT, text=True, capture_output=True, check=True)
    return done.stdout.splitlines()


def _start(program: str, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [str(PROGRAMS / program), *words],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


if __name__ == "__main__":
    sys.exit(main())
