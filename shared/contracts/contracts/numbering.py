"""Patterns of document numbers, such as ``INV-{yyyy}-{seq:5}``, as settings carry them."""

import re

MAX_LENGTH = 32
MAX_SEQUENCE = 10**9 - 1
_PLACEHOLDER = re.compile(r"\{(?:yyyy|yy|seq:([1-9]|1[0-2]))\}")
_LITERAL = re.compile(r"[A-Za-z0-9\-_/. ]*")


def problem_of(pattern: str) -> str:
    """What is wrong with a pattern, ``code: text``; empty if nothing is."""
    parts = _PLACEHOLDER.findall(pattern)
    if sum(digits != "" for digits in parts) != 1 or "" not in parts:
        return "placeholders: Must contain {seq:5} (with 1 to 12 digits) once, and {yyyy} or {yy}."
    if not _LITERAL.fullmatch(_PLACEHOLDER.sub("", pattern)):
        return "characters: Use letters A to Z, digits, spaces and - _ / . around the placeholders."
    if len(formatted(pattern, year=2000, number=MAX_SEQUENCE)) > MAX_LENGTH:
        return f"length: The numbers would have more than {MAX_LENGTH} characters."
    return ""


def formatted(pattern: str, *, year: int, number: int) -> str:
    """A document's number by a valid pattern."""
    values = {"{yyyy}": f"{year:04}", "{yy}": f"{year % 100:02}"}
    return _PLACEHOLDER.sub(lambda part: values.get(part[0]) or f"{number:0{part[1]}}", pattern)
