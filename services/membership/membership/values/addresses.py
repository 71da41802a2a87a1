"""E-mail addresses: one spelling per mailbox."""

import unicodedata

import email_validator

LONGEST = 254


def parse(text: str) -> str:
    """The one spelling we keep of an address. Raises ValueError for what can't be one."""
    found = email_validator.validate_email(
        unicodedata.normalize("NFKC", text).strip(),
        check_deliverability=False,
        test_environment=True,
    )
    return found.normalized.lower()


def key(text: str) -> str:
    """The spelling to look an address up by, whatever was typed."""
    try:
        return parse(text)
    except ValueError:
        return unicodedata.normalize("NFKC", text).strip().lower()[:LONGEST]


def for_transport(address: str) -> str:
    """The address as a mail server without international addresses takes it, where it has such a
    form."""
    local, _, domain = address.rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        return address
