"""What a run has to say at its end, by section; each of several processes that test hands it to the
one that asked."""

sections: dict[str, list[str]] = {}


def section(name: str) -> list[str]:
    """The lines of a section, to be added to."""
    return sections.setdefault(name, [])
