"""What a member leaves behind, in words."""

from collections.abc import Mapping

# One, several; what happens to them; what has happened.
_TEXTS = {
    "sessions": ("session", "sessions", "will end, support sessions included", "Ended"),
    "grants": (
        "support grant that they requested",
        "support grants that they requested",
        "will end, also for their colleagues",
        "Ended",
    ),
    "keys": (
        "API key that they created",
        "API keys that they created",
        "will be suspended until adopted by an owner",
        "Suspended until adopted by an owner",
    ),
}


def consequences(counts: Mapping[str, int]) -> list[str]:
    """What will happen if the member loses access, a line each."""
    return [f"{_number(name, count)} {_TEXTS[name][2]}" for name, count in _some(counts)]


def outcome(counts: Mapping[str, int]) -> list[str]:
    """What has happened, a sentence each."""
    return [f"{_TEXTS[name][3]}: {_number(name, count)}." for name, count in _some(counts)]


def _some(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return [(name, counts[name]) for name in _TEXTS if counts.get(name)]


def _number(name: str, count: int) -> str:
    return f"{count} {_TEXTS[name][0 if count == 1 else 1]}"
