"""The documentation says what the code does."""

import re
from pathlib import Path

import pytest
from devtools import docs

from tests.house.places import ROOT, SERVICES, Project, listed

PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "services").glob("*/README.md")]
)
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
NAMED = re.compile(r"`((?:tests|docs|deploy|shared|services|tools)/[^`*<\s…]+)`")


def broken_links(page: Path) -> list[str]:
    """Links and paths in a page that lead nowhere."""
    text = page.read_text()
    links = [page.parent / target for target in LINK.findall(text) if "://" not in target]
    paths = [ROOT / path for path in NAMED.findall(text)]
    return [f"{page}: {target}" for target in [*links, *paths] if not target.exists()]


@pytest.mark.parametrize("name", docs.pages())
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (docs.ROOT / name).read_text() == docs.pages()[name], "run `make docs`"


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_service_tells_what_it_owns_says_hears_and_never_does(service: Project) -> None:
    page = (service.folder / "README.md").read_text()

    assert [word for word in ("Owns", "Says", "Hears", "Never") if f"**{word}" not in page] == []
    assert len(page.splitlines()) <= 40


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_is_numbered_and_says_what_enforces_it(page: Path) -> None:
    headings = re.findall(r"^## (.*)$", page.read_text(), re.MULTILINE)

    assert headings == ["Context", "Decision", "Consequences", "Enforced by"]
    assert page.name.startswith(f"{DECISIONS.index(page) + 1:04}-")
    assert len(page.read_text().splitlines()) <= 60


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_leads_nowhere(page: Path) -> None:
    assert not (broken := broken_links(page)), listed(broken)


def test_every_verb_that_is_told_of_is_in_the_makefile() -> None:
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = {
        verb
        for page in PAGES
        for verb in re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE)
    }

    assert told - verbs == set()


def test_a_link_that_leads_nowhere_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "[here](page.md) [gone](gone.md#part) [far](https://example.com) `docs/gone.md` `docs/runbook.md`"
    )

    assert broken_links(page) == [
        f"{page}: {tmp_path / 'gone.md'}",
        f"{page}: {ROOT / 'docs/gone.md'}",
    ]
