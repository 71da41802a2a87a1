"""Names that people type, of people and things: what may be in them, and how email shows them."""

import re
import unicodedata

MAX_IN_MAIL = 40
# Shown in place of the name of somebody who was erased; nobody else may be called that.
REMOVED_PERSON = "Removed person"
RESERVED = "Choose another name. This one is shown for people who were removed."
_HIDDEN_CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
_JOINERS = "\u200c\u200d"
_DOTS = str.maketrans("\u3002\uff61", "..")
_LINK = re.compile(
    r"://|\bwww\.\w|\b(?:https?|ftp|mailto|javascript):\S"
    r"|\w@[\w-]+\.\w|[\w-]\.[^\W\d_]{2,}(?:[/?#]|:\d)",
    re.IGNORECASE,
)
# Characters that look like letters of the reserved name: Greek capitals; the zero, Cyrillic, Greek,
# Armenian and phonetic letters.
_GREEK_CAPITALS = str.maketrans("\u0395\u039c\u039d\u039f\u03a1", "emnop")
_LOOKALIKES = str.maketrans(
    "0\u0435\u0433\u043c\u043e\u043f\u0440\u0455\u0501\u0475\u03b5\u03b7\u03bd\u03bf\u03c1\u0585\u0578"
    "\u0280\u1d07\u1d0d\u1d0f\u1d20\u1d05\u1d18\ua731\u0274",
    "oermonpsdvenvoponremovdpsn",
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


def is_reserved(text: str) -> bool:
    """Whether people would read it as the name that is shown for those who were erased."""
    return _skeleton(text) == _skeleton(REMOVED_PERSON)


def _skeleton(text: str) -> str:
    """What is left of a name that looks the same in other letters, signs and accents."""
    plain = unicodedata.normalize("NFKD", text.translate(_GREEK_CAPITALS)).casefold()
    letters = "".join(c for c in plain.translate(_LOOKALIKES) if c.isalpha())
    return letters.replace("rn", "m")


def in_mail(text: str) -> str:
    """The name on one line of at most 40 characters, also if it was stored when more was allowed:
    without what is hidden, and with spaces for the signs that make a link."""
    line = " ".join(text.split())  # at every kind of line end, too
    plain = "".join(c for position, c in enumerate(line) if not is_hidden(line, position))
    if has_link(plain):
        plain = re.sub(r"[:/.@]+", " ", unicodedata.normalize("NFKC", plain).translate(_DOTS))
        plain = " ".join(plain.split())
    return plain if len(plain) <= MAX_IN_MAIL else plain[: MAX_IN_MAIL - 1].rstrip() + "…"
