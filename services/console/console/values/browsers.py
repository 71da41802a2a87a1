"""The browser that a User-Agent names."""

import re

_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def name(user_agent: str | None) -> str:
    """``Firefox 128 on Windows``; an unknown program by its own name."""
    agent = user_agent or ""
    known = next(((mark, label) for mark, label in _BROWSERS if mark in agent), None)
    browser = _with_version(*known, agent) if known else ""
    system = next((label for mark, label in _SYSTEMS if mark in agent), "")
    if not browser:
        return agent[:60] or "Unknown"
    return f"{browser} on {system}" if system else browser


def _with_version(mark: str, label: str, agent: str) -> str:
    """Safari gives its version in a part of its own."""
    before = "Version/" if label == "Safari" else mark
    version = re.search(rf"{before}([0-9]{{1,4}})", agent)
    return f"{label} {version[1]}" if version else label
