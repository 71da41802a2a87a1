"""The secrets of an installation."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.compose.files import ROOT


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deploy") / "secrets"
    make(folder)
    return folder


@pytest.fixture
def secrets(made_once: Path, tmp_path: Path) -> Path:
    """A copy of its own for each test."""
    return shutil.copytree(made_once, tmp_path / "secrets")


def make(folder: Path) -> str:
    command = [sys.executable, str(ROOT / "deploy/secrets.py"), str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
