"""The checks of style, types and imports."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
FOLDERS = ("services", "shared", "deploy", "tools")


class CheckFailed(Exception):
    """A check has findings; the message lists them."""


def projects() -> list[Path]:
    """The folder of every project of the workspace."""
    return [
        file.parent
        for folder in FOLDERS
        for file in sorted((ROOT / folder).glob("*/pyproject.toml"))
    ]


COMMANDS = {
    "ruff check": ["ruff", "check", "--quiet", "."],
    "ruff format": ["ruff", "format", "--check", "--quiet", "."],
    "mypy": ["mypy", *(str(folder / folder.name) for folder in projects())],
    "lint-imports": ["lint-imports", "--no-cache"],
}


def run(name: str) -> None:
    """Run one of COMMANDS. Raises CheckFailed."""
    program, *arguments = COMMANDS[name]
    result = subprocess.run(  # noqa: S603 - our own tools
        [str(Path(sys.executable).parent / program), *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, projects()))},
        check=False,
        text=True,
        capture_output=True,
    )
    if result.returncode:
        raise CheckFailed(f"{name}:\n{result.stdout}{result.stderr}")
