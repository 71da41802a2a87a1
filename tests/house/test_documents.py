"""The documents match the code."""

import re
from pathlib import Path

import pytest
from devtools import docs

from tests.house.workspace import ROOT, SERVICES, Project, listed

PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "services").glob("*/README.md"),
        ROOT / "deploy" / "README.md",
        ROOT / "tests" / "deploy" / "README.md",
    ]
)
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
NAMED = re.compile(r"`((?:tests|docs|deploy|shared|services|tools)/[^`*<\s…]+)`")
# Whole blocks, so that the end of one is not taken for the beginning of another without language.
BLOCKS = re.compile(r"(?:<!-- ([^\n]*?) -->\n)?^```(\w*)\n.*?^```$", re.MULTILINE | re.DOTALL)
COMMANDS = ("", "sh", "sql")
LOG_EVENT = re.compile(r"^\| `([a-z_]+\.[a-z_]+)`", re.MULTILINE)
TESTED_BY = re.compile(r"run by (tests/[\w/.]+)")


def broken_links(page: Path) -> list[str]:
    """Links and paths in a page that lead nowhere."""
    text = page.read_text()
    links = [page.parent / target for target in LINK.findall(text) if "://" not in target]
    paths = [ROOT / path for path in NAMED.findall(text)]
    return [f"{page}: {target}" for target in [*links, *paths] if not target.exists()]


def untested_commands(page: Path) -> list[str]:
    """Blocks of commands that name neither the test that runs them nor why there is none."""
    problems = []
    for remark, language in BLOCKS.findall(page.read_text()):
        if language not in COMMANDS:
            continue
        tested = TESTED_BY.match(remark)
        if tested and (ROOT / tested[1]).exists():
            continue
        if not remark.startswith("not run"):
            problems.append(f"{page}: {remark or 'no remark'}")
    return problems


@pytest.mark.parametrize("name", docs.pages())
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (docs.ROOT / name).read_text() == docs.pages()[name], "run `make docs`"


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_service_states_what_it_owns_publishes_consumes_and_never_does(
    service: Project,
) -> None:
    page = (service.folder / "README.md").read_text()
    headings = ("Owns", "Publishes", "Consumes", "Never")

    assert [word for word in headings if f"**{word}" not in page] == []
    assert len(page.splitlines()) <= 40


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_is_numbered_and_says_what_enforces_it(page: Path) -> None:
    headings = re.findall(r"^## (.*)$", page.read_text(), re.MULTILINE)

    assert headings == ["Context", "Decision", "Consequences", "Enforced by"]
    assert page.name.startswith(f"{DECISIONS.index(page) + 1:04}-")
    assert len(page.read_text().splitlines()) <= 60


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_works(page: Path) -> None:
    assert not (broken := broken_links(page)), listed(broken)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_is_tested_or_says_why_not(page: Path) -> None:
    assert not (untested := untested_commands(page)), listed(untested)


def test_every_make_target_that_is_mentioned_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    mentioned = {
        target
        for page in PAGES
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE)
    }

    assert mentioned - targets == set()


def test_every_log_event_of_the_runbook_is_logged_somewhere() -> None:
    code = "".join(
        path.read_text()
        for folder in ("services", "shared")
        for path in (ROOT / folder).rglob("*.py")
    )
    events = set(LOG_EVENT.findall((ROOT / "docs" / "runbook.md").read_text()))

    assert events
    assert {event for event in events if f'"{event}"' not in code} == set()


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "[here](page.md) [gone](gone.md#part) [far](https://example.com) `docs/gone.md` "
        "`docs/runbook.md`"
    )

    assert broken_links(page) == [
        f"{page}: {tmp_path / 'gone.md'}",
        f"{page}: {ROOT / 'docs/gone.md'}",
    ]


def test_an_untested_command_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\nls\n```\n<!-- run by tests/gone.py -->\n```sh\nls\n```\n"
        "```\nls\n```\n```json\n{}\n```\n"
        "<!-- run by tests/house/test_documents.py -->\n```sh\nls\n```\n"
        "<!-- not run: an example -->\n```sh\nls\n```\n"
    )

    assert untested_commands(page) == [
        f"{page}: no remark",
        f"{page}: run by tests/gone.py",
        f"{page}: no remark",
    ]
