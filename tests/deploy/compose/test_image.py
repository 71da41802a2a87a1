"""The image of the services."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

from devtools.ports import free_port

from tests.deploy.compose.files import ROOT
from tests.deploy.compose.image import answering, instructions, is_healthy


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


def test_the_health_check_checks_the_running_role() -> None:
    nobody = str(free_port())
    with answering(200) as well, answering(503) as ill:
        assert is_healthy(well, nobody) and is_healthy(nobody, well)
        assert (
            not is_healthy(ill, nobody)
            and not is_healthy(nobody, ill)
            and not is_healthy(nobody, nobody)
        )
        assert not is_healthy(ill, well), "a web that is not ready hides behind nothing"
