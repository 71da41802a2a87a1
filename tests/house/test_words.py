"""Names and texts use the words of docs/glossary.md."""

from pathlib import Path

import pytest

from tests.house import words
from tests.house.workspace import OURS, ROOT, listed

TEXTS = [
    *OURS,
    ROOT / "docs",
    ROOT / "tests",
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "Makefile",
    ROOT / "docker-compose.yml",
    ROOT / ".importlinter",
    ROOT / "pyproject.toml",
    ROOT / "examples",
]
LISTS = ("tests/house/words.py", "tests/house/test_words.py")


@pytest.mark.parametrize("folder", [*OURS, ROOT / "tests"], ids=lambda folder: folder.name)
def test_no_module_has_a_name_from_the_list(folder: Path) -> None:
    assert not (problems := words.module_names(folder)), listed(problems)


@pytest.mark.parametrize("folder", [*OURS, ROOT / "tests"], ids=lambda folder: folder.name)
def test_no_variable_or_function_has_a_name_from_the_list(folder: Path) -> None:
    assert not (problems := words.identifiers(folder)), listed(problems)


@pytest.mark.parametrize("folder", TEXTS, ids=lambda folder: folder.name)
def test_no_text_contains_a_phrase_from_the_list(folder: Path) -> None:
    problems = [p for p in words.phrases(folder) if not any(name in p for name in LISTS)]

    assert not problems, listed(problems)


def test_each_list_finds_what_is_on_it(tmp_path: Path) -> None:
    module = tmp_path / "press.py"
    module.write_text('"""Whoever asks."""\n\nfound = 1\nmade_anew = 2\n')
    makefile = tmp_path / "Makefile"
    makefile.write_text("# for good\n")

    assert words.module_names(tmp_path) == [str(module)]
    assert words.identifiers(tmp_path) == [f"{module}:3 found"]
    assert words.phrases(tmp_path) == [f"{module}:1 Whoever", f"{module}:4 anew"]
    assert words.phrases(makefile) == [f"{makefile}:1 for good"]
