"""Names that people type, of people and things: what may be in them, and how email shows them."""

import re
import unicodedata

MAX_IN_MAIL = 40
_HIDDEN_CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
_JOINERS = "\u200c\u200d"
_DOTS = str.maketrans("\u3002\uff61", "..")
_LINK = re.compile(
    r"://|\bwww\.\w|\b(?:https?|ftp|mailto|javascript):\S"
    r"|\w@[\w-]+\.\w|[\w-]\.[^\W\d_]{2,}(?:[/?#]|:\d)",
    re.IGNORECASE,
)
_DOMAIN = re.compile(r"[\w-]{2,}\.(?:[^\W\d_]{2,}|xn--\w+)", re.IGNORECASE)


def is_hidden(text: str, position: int) -> bool:
    """Whether the character cannot be seen or changes how others are shown. A zero-width joiner or
    non-joiner is not hidden where its script needs it."""
    character = text[position]
    if character in _JOINERS:
        import idna  # its tables are large, and few names have a joiner

        try:
            return not idna.valid_contextj(text, position)
        except ValueError:  # next to a character without a name
            return True
    return character in _BLANK or unicodedata.category(character) in _HIDDEN_CATEGORIES


def has_hidden(text: str) -> bool:
    """Whether a character of the text is hidden."""
    return any(is_hidden(text, position) for position in range(len(text)))


def has_link(text: str, *, domains: bool = False) -> bool:
    """Whether a reader of email could follow it as a link; ``domains``: a bare domain counts."""
    plain = unicodedata.normalize("NFKC", text).translate(_DOTS)
    return bool(_LINK.search(plain) or (domains and _DOMAIN.search(plain)))


def in_mail(text: str) -> str:
    """The name on one line of at most 40 characters, also if it was stored when more was allowed:
    without what is hidden, and with spaces for the signs that make a link."""
    line = " ".join(text.split())  # at every kind of line end, too
    plain = "".join(c for position, c in enumerate(line) if not is_hidden(line, position))
    if has_link(plain):
        plain = re.sub(r"[:/.@]+", " ", unicodedata.normalize("NFKC", plain).translate(_DOTS))
        plain = " ".join(plain.split())
    return plain if len(plain) <= MAX_IN_MAIL else plain[: MAX_IN_MAIL - 1].rstrip() + "…"
