"""Email addresses, normalized to one spelling per mailbox."""

import unicodedata

MAX_LENGTH = 254


def parse(text: str) -> str:
    """The normalized address. Raises ValueError if it cannot be an address."""
    import email_validator  # with its DNS library it takes long to import; few processes use it

    validated = email_validator.validate_email(
        unicodedata.normalize("NFKC", text).strip(),
        check_deliverability=False,
        test_environment=True,
    )
    return validated.normalized.lower()


def key(text: str) -> str:
    """The spelling to look up an address by, valid or not."""
    try:
        return parse(text)
    except ValueError:
        return unicodedata.normalize("NFKC", text).strip().lower()[:MAX_LENGTH]


def for_transport(address: str) -> str:
    """The address with its domain in ASCII where possible, for mail servers without support for
    international addresses."""
    local, _, domain = address.rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        return address
