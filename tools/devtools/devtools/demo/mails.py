"""Email that a system without a mail server writes to a folder."""

import email
import re
from email import policy
from pathlib import Path

from devtools.demo.waiting import until

_LINK = re.compile(r"/verify/([A-Za-z0-9._~-]+)")
_UNDO = re.compile(r"/undo/([A-Za-z0-9._~-]+)")


def invitation(folder: Path, address: str, *, seconds: float = 15) -> str:
    """The token in the newest invitation to the address; empty if none arrives."""
    return until(lambda: _newest(folder, address, _LINK), seconds=seconds)


def undo(folder: Path, address: str, *, seconds: float = 15) -> str:
    """The token in the newest link to the address that undoes a change; empty if none arrives."""
    return until(lambda: _newest(folder, address, _UNDO), seconds=seconds)


def _newest(folder: Path, address: str, pattern: re.Pattern[str]) -> str:
    for path in sorted(folder.glob("*.eml"), reverse=True):
        message = email.message_from_bytes(path.read_bytes(), policy=policy.default)
        body = message.get_body(("plain",)) if address in str(message["To"]) else None
        link = pattern.search(body.get_content()) if body is not None else None
        if link:
            return link[1]
    return ""
