"""The passwords that are tried first: well-known ones (``common_passwords.txt``), and well-known words
(``common_words.txt``) in the usual dress."""

import re
from functools import cache
from importlib import resources

_PLAIN = str.maketrans("@401!3$57", "aaoiiesst")
_MARKS = "!?.*#@$%&_-+"
_DIGITS = "12345678901234567890", "09876543210987654321"
_YEAR = re.compile(r"(?:19|20)\d\d|\d{0,3}|(\d+)\1+")


def is_known(password: str) -> bool:
    """Whether it is one of these, in any case: as it is, or a word (once or repeated, with digits
    for letters) with the usual digits and marks behind it: a short number, a year, a run, a
    repetition."""
    folded = password.casefold()
    if folded in _read("common_passwords.txt"):
        return True
    bare = folded.strip(_MARKS)
    word = bare.rstrip("0123456789")
    digits = bare[len(word) :]
    dressed = bool(_YEAR.fullmatch(digits)) or any(digits in run for run in _DIGITS)
    return any(_is_word(part) for part in {word.strip(_MARKS), bare}) and dressed


def _is_word(text: str) -> bool:
    once = re.sub(r"^(.+?)\1+$", r"\1", text.translate(_PLAIN))
    return once in _read("common_words.txt")


@cache
def _read(name: str) -> frozenset[str]:
    return frozenset(resources.files("membership.values").joinpath(name).read_text().split())
