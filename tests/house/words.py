"""Words that are kept out of names, and phrases that are kept out of every text."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house import rules

# Module names that do not name a thing of the domain or of the system; see docs/glossary.md.
MODULE_NAMES = {
    "answering", "chores", "cover", "crediting", "cures", "desk", "door", "doors", "entry",
    "footing", "footings", "guesses", "heard", "here", "inner", "knock", "months", "paper",
    "pieces", "place", "places", "press", "proving", "room", "rooms", "saying", "seat", "settling",
    "single", "standing", "talk", "telling", "trail", "verdict", "waits", "wish", "writing",
}  # fmt: skip
IDENTIFIERS = {
    "anybody", "asked", "door", "footing", "found", "hear", "heard", "hearer", "knock",
    "laid_aside", "said", "said_by", "sayer", "seat", "seats", "told", "told_of", "unsaid",
    "untold", "whoever", "whose", "wish", "wishes",
}  # fmt: skip
PHRASES = re.compile(
    r"(?<![A-Za-z])("
    r"whoever|anew|for ever|for good|at the most|laid aside|lay aside|stands? in the way"
    r"|nobody of|beside|hearers?|sayers?|knocks?|footings?|by itself|e-mails?"
    r"|can't be had|who(?:ever)? asks|broke off|thing stands"
    r")(?![A-Za-z])",
    re.IGNORECASE,
)
TEXTS = {
    ".Dockerfile", ".cfg", ".conf", ".css", ".html", ".js", ".mako", ".md", ".py", ".sh", ".sql",
    ".toml", ".txt", ".typ", ".yaml", ".yml",
}  # fmt: skip
IGNORED = {"node_modules", "__pycache__", "fonts", "var"}


def module_names(folder: Path) -> list[str]:
    """Modules with a name from the list."""
    return [
        str(path)
        for path in sorted(folder.rglob("*.py"))
        if path.stem in MODULE_NAMES and "__pycache__" not in path.parts
    ]


def identifiers(folder: Path) -> list[str]:
    """Variables, parameters and functions with a name from the list."""
    return [problem for source in rules.sources(folder) for problem in _identifiers(source)]


def _identifiers(source: rules.Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        name = ""
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.arg):
            name = node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            name = node.name
        if name.strip("_") in IDENTIFIERS:
            yield f"{source.path}:{node.lineno} {name}"


def phrases(folder: Path) -> list[str]:
    """Lines with a phrase from the list, of this file or of every text file in this folder."""
    problems = []
    for path in sorted(folder.rglob("*") if folder.is_dir() else [folder]):
        if folder.is_dir() and (path.suffix not in TEXTS or IGNORED & set(path.parts)):
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            problems += [f"{path}:{number} {match[0]}" for match in PHRASES.finditer(line)]
    return problems
