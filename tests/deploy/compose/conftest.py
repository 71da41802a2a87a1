"""The secrets of an installation."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.compose.files import ROOT


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    make(tmp_path / "secrets")
    return tmp_path / "secrets"


def make(folder: Path) -> str:
    command = [sys.executable, str(ROOT / "deploy/secrets.py"), str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
