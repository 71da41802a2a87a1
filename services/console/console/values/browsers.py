"""The browser that a User-Agent names."""

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
    """``Firefox on Windows``; an unknown program by its own name."""
    said = user_agent or ""
    browser = next((words for mark, words in _BROWSERS if mark in said), "")
    system = next((words for mark, words in _SYSTEMS if mark in said), "")
    return (f"{browser} on {system}" if system else browser) if browser else said[:60] or "Unknown"
