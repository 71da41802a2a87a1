"""The console's pages: who may open each, and what its templates contain."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from flask import Flask

WORKSPACE = "/at/<workspace>"
# In templates there is nothing that runs or dresses an element where it stands, and nothing that is
# taken for markup.
FORBIDDEN = {
    "is taken for markup": re.compile(r"\|\s*safe\b|autoescape\s+false|\bMarkup\("),
    "runs script in the page": re.compile(
        r"<script(?![^>]*\bsrc=)|\son[a-z]+\s*=|\bhx-on|javascript:", re.IGNORECASE
    ),
    "dresses an element in the page": re.compile(r"<style|\sstyle\s*=", re.IGNORECASE),
    "loads what is another's": re.compile(
        r"\b(?:src|href|action)=[\"'](?:https?:)?//", re.IGNORECASE
    ),
}
_COMMENT = re.compile(r"{#.*?#}", re.DOTALL)
_POST = re.compile(r"<form[^>]*method=[\"']post[\"'].*?</form>", re.DOTALL | re.IGNORECASE)
_NAMED = {
    "endpoint": re.compile(
        r"""(?:\burl_for|\bcurrent)\(\s*["']([\w.]+)["']|\bdone\(\s*[^()]*?["'](\w+\.\w+)["']"""
    ),
    "operation": re.compile(r"""\b(?:may|needs)\(\s*["']([\w.]+)["']"""),
    "template": re.compile(r"""["']([\w/]+\.html)["']"""),
}


class Page(NamedTuple):
    """A method on a path. ``operation``: the one that it requires, "open", "asset", or nothing."""

    method: str
    path: str
    operation: str

    @property
    def is_in_a_workspace(self) -> bool:
        """Whether it is below somebody's workspace."""
        return self.path.startswith(WORKSPACE)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def pages(app: Flask) -> Iterator[Page]:
    """The console's own endpoints, without those that every service has."""
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        if getattr(view, "operation", None) in ("public", "internal"):
            continue
        access = (
            "asset"
            if getattr(view, "is_asset", False)
            else "open"
            if getattr(view, "open_to_all", False)
            else ""
        )
        for method in sorted((rule.methods or set()) & {"GET", "POST", "PUT", "PATCH", "DELETE"}):
            yield Page(method, rule.rule, access or getattr(view, "operation", ""))


def sources(package: Path) -> Iterator[tuple[Path, str]]:
    """Templates, without their comments, and the code of views."""
    for path in sorted(
        [*(package / "templates").rglob("*.html"), *(package / "views").rglob("*.py")]
    ):
        text = path.read_text()
        yield path, _COMMENT.sub("", text) if path.suffix == ".html" else text


def named(package: Path, kind: str) -> Iterator[tuple[Path, str]]:
    """Endpoints, operations or templates that templates and views name."""
    for path, text in sources(package):
        for match in _NAMED[kind].finditer(text):
            yield path, next(filter(None, match.groups()))


def blemishes(package: Path) -> list[str]:
    """Where a template holds what no page may hold."""
    return [
        f"{path}: {match[0].strip()!r} {what}"
        for path, text in sources(package)
        if path.suffix == ".html"
        for what, pattern in FORBIDDEN.items()
        for match in pattern.finditer(text)
    ]


def without_token(package: Path) -> list[tuple[Path, str]]:
    """Forms that are sent without the token of their page, by template."""
    return [
        (path, form[:120])
        for path, text in sources(package)
        if path.suffix == ".html"
        for form in _POST.findall(text)
        if "csrf_field()" not in form
    ]


def operations(package: Path) -> set[str]:
    """What the services' tables have."""
    return set(json.loads((package / "values" / "operations.json").read_text()))
