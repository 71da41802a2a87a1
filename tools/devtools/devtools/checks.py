"""The checks of style, types and imports."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
FOLDERS = ("services", "shared", "deploy", "tools")


class Faulty(Exception):
    """A check has findings; the message lists them."""


def run() -> Iterator[str]:
    """Run one check after the other; the name of each that has no findings. Raises Faulty."""
    projects = [
        file.parent
        for folder in FOLDERS
        for file in sorted((ROOT / folder).glob("*/pyproject.toml"))
    ]
    packages = [str(project / project.name) for project in projects]
    for command in (
        ["ruff", "check", "--quiet", "."],
        ["ruff", "format", "--check", "--quiet", "."],
        ["mypy", *packages],
        ["lint-imports", "--no-cache"],
    ):
        result = subprocess.run(  # noqa: S603 - our own tools
            [str(Path(sys.executable).parent / command[0]), *command[1:]],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, projects))},
            check=False,
            text=True,
            capture_output=True,
        )
        name = " ".join(command[:2]) if command[0] == "ruff" else command[0]
        if result.returncode:
            raise Faulty(f"{name}:\n{result.stdout}{result.stderr}")
        yield name
