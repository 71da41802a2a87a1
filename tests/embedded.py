"""The embedded mode as a process group that tests may kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import urllib3
from devtools.ports import free_port
from devtools.servers.processes import family


class Embedded:
    """``python -m clientele run`` in a folder of its own. The data is kept when it is killed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.password, self.port = folder, "seven quiet herons nest", free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self, **extra: str) -> float:
        """Start and wait until it is ready; the seconds this took."""
        began = time.monotonic()
        environment = os.environ | {
            "CLIENTELE_DATA": str(self.folder / "var"),
            "CLIENTELE_PORT": str(self.port),
            "CLIENTELE_ADMIN_EMAIL": "admin@example.com",
            "CLIENTELE_ADMIN_PASSWORD": self.password,
            **extra,
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "clientele", "run"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        while not self._is_ready():
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() - began < 300, self.log.read_text()[-3000:]
            time.sleep(0.05)
        return time.monotonic() - began

    def kill(self) -> None:
        """kill -9 to the whole group; returns when no process of it is left."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        while _group_exists(self.process.pid):
            time.sleep(0.01)
        self.process = None

    def await_death(self, seconds: float = 120) -> None:
        """Wait until its worker was killed at a failpoint, then kill the rest."""
        assert self.process is not None
        deadline = time.monotonic() + seconds
        while "was sent SIGKILL" not in self.log.read_text() and self.process.poll() is None:
            assert time.monotonic() < deadline, "the failpoint was not reached"
            time.sleep(0.02)
        self.kill()

    def stop(self) -> int:
        """Ctrl-C; its exit code."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGINT)
        code = self.process.wait(120)
        self.process = None
        return code

    def processes(self) -> list[int]:
        """The ids of all its processes."""
        assert self.process is not None
        return family(self.process.pid)

    def _is_ready(self) -> bool:
        try:
            return (
                urllib3.request("GET", f"{self.address}/readyz", retries=False, timeout=2.0).status
                == 200
            )
        except urllib3.exceptions.HTTPError:
            return False


def _group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
