"""How mails leave the house: to a mail server, or into a directory in its place."""

import smtplib
import ssl
import time
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

SECONDS = 10
Post = Callable[[EmailMessage], None]


def post(url: str) -> Post:
    """How mails leave the house: ``file:///directory`` or ``smtp://[user:password@]host:port``.
    Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path:
        return lambda message: _write(Path(unquote(parts.path)), message)
    if parts.scheme == "smtp" and parts.hostname:
        return lambda message: _transmit(parts, message)
    raise ValueError("MAIL_URL must be file:///directory or smtp://[user:password@]host:port")


def _write(directory: Path, message: EmailMessage) -> None:
    """One file a mail; names sort by time, and a file is whole once it is there."""
    directory.mkdir(parents=True, exist_ok=True)
    name = f"{time.time_ns():020d}"
    unfinished = directory / f".{name}.part"
    unfinished.touch(mode=0o600)
    unfinished.write_bytes(message.as_bytes())
    unfinished.rename(directory / f"{name}.eml")


def _transmit(parts: SplitResult, message: EmailMessage) -> None:
    with smtplib.SMTP(parts.hostname or "", parts.port or 25, timeout=SECONDS) as server:
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
            server.ehlo()
        elif parts.username:
            raise smtplib.SMTPNotSupportedError(
                "the mail server offers no STARTTLS; no password is sent in the open"
            )
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        server.send_message(message)
