"""Passwords that are guessed first: common ones (``common_passwords.txt``), and common words
(``common_words.txt``) with the usual substitutions and suffixes."""

import re
from functools import cache
from importlib import resources

_SUBSTITUTIONS = str.maketrans("@401!3$57", "aaoiiesst")
_MARKS = "!?.*#@$%&_-+"
_RUNS = "12345678901234567890", "09876543210987654321"
_USUAL_DIGITS = re.compile(r"(?:19|20)\d\d|\d{0,3}|(\d+)\1+")


def is_known(password: str) -> bool:
    """Whether it is one of these, in any case.

    Words may be repeated, have digits for letters, and be followed by punctuation and digits: a
    short number, a year, a run or a repetition."""
    folded = password.casefold()
    if folded in _read("common_passwords.txt"):
        return True
    bare = folded.strip(_MARKS)
    word = bare.rstrip("0123456789")
    digits = bare[len(word) :]
    if not _USUAL_DIGITS.fullmatch(digits) and not any(digits in run for run in _RUNS):
        return False
    return _is_word(bare) or _is_word(word.strip(_MARKS))


def _is_word(text: str) -> bool:
    once = re.sub(r"^(.+?)\1+$", r"\1", text.translate(_SUBSTITUTIONS))
    return once in _read("common_words.txt")


@cache
def _read(name: str) -> frozenset[str]:
    return frozenset(resources.files("membership.values").joinpath(name).read_text().split())
