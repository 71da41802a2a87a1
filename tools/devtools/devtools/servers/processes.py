"""How a private server's processes are started, found, ended and killed."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict


class DidNotStart(RuntimeError):
    """A server ended, or was not ready in time; the message carries the end of its log."""


def account_for(package: str) -> pwd.struct_passwd:
    """The account a server runs as: its package's user if we are root, otherwise our own."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return known.get(package) or known["nobody"]


def private_folder(prefix: str, account: pwd.struct_passwd) -> Path:
    """A new temporary folder only the account may enter."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    os.chown(folder, account.pw_uid, account.pw_gid)
    return folder


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    account: pwd.struct_passwd | None = None,
    text: str = "",
) -> str:
    """Run a program that must succeed; returns its output."""
    result = subprocess.run(  # noqa: S603
        command,
        env=environment,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        **_identity(account),
    )
    if result.returncode:
        raise RuntimeError(f"{Path(command[0]).name} failed: {result.stderr or result.stdout}")
    return result.stdout


def launch(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    account: pwd.struct_passwd,
    log: Path,
    when_orphaned: str,
) -> subprocess.Popen[bytes]:
    """Start a server in its own process group; the named signal ends it if we die first.

    The kernel sends that signal when the starting *thread* ends, so only the main thread asks for
    it.
    """
    setpriv = shutil.which("setpriv")
    if setpriv and threading.current_thread() is threading.main_thread():
        command = [setpriv, "--pdeathsig", when_orphaned, *command]
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
            cwd="/",
            **_identity(account),
        )


class _Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


def _identity(account: pwd.struct_passwd | None) -> _Identity:
    if account is None or os.geteuid() != 0:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def await_ready(
    process: subprocess.Popen[bytes],
    is_ready: Callable[[], bool],
    *,
    log: Path,
    seconds: float = 300,
) -> None:
    """Wait until the server is ready. Raises DidNotStart."""
    deadline = time.monotonic() + seconds
    while not is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            lines = log.read_text(errors="replace").splitlines()[-30:]
            kill(process)
            raise DidNotStart("\n".join(["the server did not start; the end of its log:", *lines]))
        time.sleep(0.05)


def end(process: subprocess.Popen[bytes], politely: signal.Signals, *, seconds: float = 20) -> None:
    """Ask a server to stop, and kill it if it does not."""
    process.send_signal(politely)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9 to a server and everything below it; returns when all of them are gone.

    It is stopped first, so that it cannot replace a child that was just killed.
    """
    if process.poll() is None:
        process.send_signal(signal.SIGSTOP)
    victims = family(process.pid)
    for pid in victims:
        _kill_one(pid)
    process.wait()
    while any(_is_alive(pid) for pid in victims):
        time.sleep(0.01)


def family(pid: int) -> list[int]:
    """A process and all below it; a server's children may sit in process groups of their own."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        fields = _stat(stat)
        if fields:
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    members = [pid]
    for member in members:
        members.extend(children.get(member, []))
    return members


def _kill_one(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _is_alive(pid: int) -> bool:
    fields = _stat(Path(f"/proc/{pid}/stat"))
    return bool(fields) and fields[0] not in "ZX"


def _stat(path: Path) -> list[str]:
    """The fields from the state on; empty if the process is gone."""
    try:
        return path.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
