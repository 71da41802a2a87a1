"""Sends emails to a mail server, or writes them into a directory instead."""

import smtplib
import ssl
import time
from collections.abc import Callable
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

TIMEOUT_SECONDS = 10
Post = Callable[[EmailMessage], None]


def post(url: str) -> Post:
    """The function that sends; ``url``: ``file:///directory``,
    ``smtps://[user:password@]host:port`` or ``smtp://[user:password@]host:port``. Raises ValueError
    for others."""
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path:
        return lambda message: _write(Path(unquote(parts.path)), message)
    if parts.scheme in ("smtp", "smtps") and parts.hostname:
        return lambda message: _transmit(parts, message)
    raise ValueError(
        "MAIL_URL must be file:///directory, smtps://[user:password@]host:port "
        "or smtp://[user:password@]host:port"
    )


def _write(directory: Path, message: EmailMessage) -> None:
    """One file per email. Names sort by time, and a file appears only once it is complete."""
    directory.mkdir(parents=True, exist_ok=True)
    name = f"{time.time_ns():020d}"
    unfinished = directory / f".{name}.part"
    unfinished.touch(mode=0o600)
    unfinished.write_bytes(message.as_bytes())
    unfinished.rename(directory / f"{name}.eml")


def _transmit(parts: SplitResult, message: EmailMessage) -> None:
    with _connect(parts) as server:
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        server.send_message(message)


def _connect(parts: SplitResult) -> smtplib.SMTP:
    """An encrypted connection, or one within this machine that carries no password."""
    host, tls = parts.hostname or "", ssl.create_default_context()
    if parts.scheme == "smtps":
        return smtplib.SMTP_SSL(host, parts.port or 465, timeout=TIMEOUT_SECONDS, context=tls)
    server = smtplib.SMTP(host, parts.port or 25, timeout=TIMEOUT_SECONDS)
    server.ehlo()
    if server.has_extn("starttls"):
        server.starttls(context=tls)
        server.ehlo()
    elif parts.username or not _is_loopback(host):
        server.close()
        raise smtplib.SMTPNotSupportedError(
            "the mail server does not offer STARTTLS; nothing is sent unencrypted"
        )
    return server


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
