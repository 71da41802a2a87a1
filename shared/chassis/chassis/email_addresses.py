"""Email addresses: one spelling for one mailbox, and its form in the headers of mail.

Domains follow IDNA 2008 (UTS 46, non-transitional): ``ß`` is not ``ss``. Addresses are stored with
the domain in Unicode, which stands for exactly one ASCII form.
"""

import re
import unicodedata

MAX_LENGTH = 254
_MAX_DOMAIN = 253
_ATOM = r"[A-Za-z0-9_!#$%&'*+/=?^`{|}~\u0080-\U0010ffff-]+"
_LOCAL = re.compile(rf"{_ATOM}(\.{_ATOM})*")
_LABEL = "(?!..--|-)[a-z0-9-]{1,63}(?<!-)"
_A_LABEL = "xn--[a-z0-9-]{1,59}(?<!-)"
_DOMAIN = re.compile(rf"(({_A_LABEL}|{_LABEL})\.)+(?=[a-z])({_A_LABEL}|{_LABEL})(?<=[a-z0-9])")
_RESERVED = ("arpa", "invalid", "local", "localhost", "onion")
_RIGHT_TO_LEFT = ("R", "AL", "AN")


def parse(text: str) -> str:
    """The address, normalized; the case of the part before the @ is kept. Raises ValueError if it
    is none, or if it could be taken for several or for another one."""
    local, at, domain = text.strip().rpartition("@")
    if not at or len(text) > MAX_LENGTH or not _is_plain(local):
        raise ValueError("not an email address")
    local = unicodedata.normalize("NFKC", local)
    in_ascii = _ascii_domain(domain)
    if not _LOCAL.fullmatch(local) or len(f"{local}@{in_ascii}".encode()) > MAX_LENGTH:
        raise ValueError("not an email address")
    return f"{local}@{_unicode_domain(in_ascii)}"


def is_valid(text: str) -> bool:
    """Whether it is an address."""
    try:
        parse(text)
    except ValueError:
        return False
    return True


def key(text: str) -> str:
    """The spelling to look up an address by, valid or not."""
    try:
        return parse(text).lower()
    except ValueError:
        return unicodedata.normalize("NFKC", text).strip().lower()[:MAX_LENGTH]


def in_headers(address: str) -> str:
    """The address with its domain in ASCII. Raises ValueError if it is none."""
    local, _, domain = parse(address).rpartition("@")
    return f"{local}@{_ascii_domain(domain)}"


def was_delivered_elsewhere(address: str) -> bool:
    """Whether IDNA 2003 sends mail for this address to another domain than IDNA 2008."""
    try:
        in_ascii = in_headers(address).rpartition("@")[2]
        return address.rpartition("@")[2].encode("idna").decode().lower() != in_ascii
    except ValueError:  # not an address, or unknown to IDNA 2003: nothing was delivered
        return False


def _is_plain(local: str) -> bool:
    """Whether all that is not ASCII is letters, marks and numbers, also when normalized."""
    unusual = "".join(c for c in local if not c.isascii())
    normalized = unicodedata.normalize("NFKC", unusual)
    starts_with_mark = unicodedata.category(local[:1] or " ").startswith("M")
    return not starts_with_mark and all(
        unicodedata.category(c)[0] in "LMN" for c in unusual + normalized
    )


def _ascii_domain(domain: str) -> str:
    if domain.isascii() and "xn--" not in domain.lower():
        return _checked(domain.lower())
    if len(domain) > _MAX_DOMAIN or any(_hides_ascii(c) for c in domain):
        raise ValueError("not a domain")
    import idna  # its tables are large, and most domains are ASCII

    in_ascii = _checked(idna.encode(domain, uts46=True, std3_rules=True).decode())
    in_unicode = idna.decode(in_ascii)
    if idna.encode(in_unicode).decode() != in_ascii:
        raise ValueError("not a domain")
    if any(unicodedata.bidirectional(c) in _RIGHT_TO_LEFT for c in in_unicode):
        for label in in_unicode.split("."):
            idna.check_bidi(label, check_ltr=True)
    return in_ascii


def _unicode_domain(in_ascii: str) -> str:
    if "xn--" not in in_ascii:
        return in_ascii
    import idna

    return idna.decode(in_ascii)


def _checked(in_ascii: str) -> str:
    top = in_ascii.rpartition(".")[2]
    if len(in_ascii) > _MAX_DOMAIN or not _DOMAIN.fullmatch(in_ascii) or top in _RESERVED:
        raise ValueError("not a domain")
    return in_ascii


def _hides_ascii(character: str) -> bool:
    """Whether it is a dot or another sign in disguise, such as the full-width ones."""
    if character.isascii():
        return False
    normalized = unicodedata.normalize("NFKC", character)
    return "\u3002" in normalized or any(c.isascii() and not c.isalnum() for c in normalized)
