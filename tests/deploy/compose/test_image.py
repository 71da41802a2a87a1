"""The image of the services."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.deploy.compose.files import ROOT
from tests.deploy.compose.image import environment, instructions, is_healthy
from tests.waiting import until


def test_the_last_stage_has_no_tools_and_no_root() -> None:
    instructions_ = instructions()
    starts = [n for n, (word, _) in enumerate(instructions_) if word == "FROM"]
    assert [rest for word, rest in instructions_ if word == "FROM"] == [
        "${PYTHON_IMAGE} AS declarations",
        "${PYTHON_IMAGE} AS build",
        "${PYTHON_IMAGE}",
    ]
    last = instructions_[starts[-1] :]
    assert [rest for word, rest in last if word == "USER"] == ["10001:10001"]
    assert [rest for word, rest in last if word == "COPY"] == ["--from=build /app /app"]
    [run] = [rest for word, rest in last if word == "RUN"]
    assert "pip uninstall" in run and "install " not in run.replace("uninstall ", "")
    assert not [word for word, _ in instructions_ if word == "ADD"]
    assert any("PYTHONUNBUFFERED=1" in rest for word, rest in last if word == "ENV")


def test_no_secrets_in_the_image() -> None:
    for word, rest in instructions():
        if word in ("ARG", "ENV"):
            assert not re.search(r"SECRET|PASSWORD|_KEY|TOKEN|_URL", rest), rest
    allowed = (ROOT / "deploy/service.Dockerfile.dockerignore").read_text().splitlines()
    assert allowed[0] == "*" and not [line for line in allowed if "secrets" in line]


def stage(name: str) -> list[tuple[str, str]]:
    """The instructions of the stage of this name."""
    instructions_ = instructions()
    start = instructions_.index(("FROM", f"${{PYTHON_IMAGE}} AS {name}"))
    ends = [n for n, (word, _) in enumerate(instructions_) if word == "FROM" and n > start]
    return instructions_[start + 1 : ends[0]]


def test_the_libraries_layer_needs_the_lock_and_every_member(tmp_path: Path) -> None:
    """Without every member uv refuses the workspace. With code in it, every change would rebuild
    the libraries."""
    for word, rest in stage("declarations"):
        if word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                copy_into(tmp_path / target, ROOT / source)
        elif word == "RUN":
            subprocess.run(["sh", "-c", rest], cwd=tmp_path, check=True)
    globs = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"][
        "members"
    ]
    members = {
        str(file.relative_to(ROOT))
        for glob in globs
        for file in ROOT.glob(f"{glob}/pyproject.toml")
    }
    left = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert left == members | {"pyproject.toml", "uv.lock"}

    build = stage("build")
    syncs = [n for n, (word, rest) in enumerate(build) if word == "RUN" and "uv sync" in rest]
    before = [rest for word, rest in build[: syncs[0]] if word == "COPY"]
    assert before == ["--from=declarations /declarations ./"]
    for n in syncs:
        assert {"--frozen", "--no-dev", "--no-editable"} <= set(build[n][1].split())


def copy_into(target: Path, source: Path) -> None:
    """As COPY does: a folder's content, or a file into a folder."""
    if source.is_dir():
        ignore = shutil.ignore_patterns("__pycache__", "node_modules", "*.egg-info")
        shutil.copytree(source, target, ignore=ignore)
    else:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


WRITER = """
import threading
from chassis.runtime import health
from chassis.runtime.readiness import Readiness
health.note(Readiness({}), "ready", every=0.05, valid=2)
threading.Event().wait()
"""


def test_the_health_check_notices_a_process_that_is_frozen(tmp_path: Path) -> None:
    file = tmp_path / "ready"
    assert not is_healthy(file), "nothing runs yet"

    with subprocess.Popen([sys.executable, "-c", WRITER], cwd=tmp_path) as process:
        try:
            until(lambda: is_healthy(file))
            process.send_signal(signal.SIGSTOP)
            until(lambda: not is_healthy(file))
            process.send_signal(signal.SIGCONT)
            until(lambda: is_healthy(file))
        finally:
            process.kill()
    until(lambda: not is_healthy(file))


@pytest.mark.parametrize("text", ["", "\n", "0\n", "ready\n"])
def test_nothing_but_a_time_to_come_is_healthy(tmp_path: Path, text: str) -> None:
    file = tmp_path / "ready"
    file.write_text(text)
    assert not is_healthy(file)

    file.write_text("99999999999\n")
    assert is_healthy(file)


def test_the_health_check_starts_no_python() -> None:
    [check] = [rest for word, rest in instructions() if word == "HEALTHCHECK"]

    assert json.loads(check.partition(" CMD ")[2])[:2] == ["sh", "-c"]
    assert "python" not in check


HASHER = """
from membership.values.passwords import Hasher

def megabytes():
    with open("/proc/self/smaps_rollup") as rollup:
        private = next(line.split()[1] for line in rollup if line.startswith("Private_Dirty"))
    return int(private) / 1024

hasher = Hasher(concurrency=1)
before = megabytes()
for _ in range(3):
    hasher.hash("correct horse battery")
print(megabytes() - before)
"""


@pytest.mark.parametrize("in_image", [True, False])
def test_a_thread_that_has_hashed_passwords_keeps_no_memory(in_image: bool) -> None:
    """As it does without what the image sets: then this variable can go."""
    variables = {name: value for name, value in environment().items() if name.startswith("MALLOC")}
    kept = subprocess.run(
        [sys.executable, "-c", HASHER],
        env=os.environ | (variables if in_image else {}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert (float(kept.stdout) < 10) == in_image
