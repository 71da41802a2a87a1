"""Rules about the source. Each is checked on the code and on a planted violation."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.house import rules
from tests.house.workspace import CHASSIS, OURS, ROOT, SERVICES, listed

Rule = Callable[[Path], list[str]]

# Commands print their output.
PRINTERS = ("/membership/app.py:", "/org/app.py:")
OUTSIDE_CHASSIS = [ROOT / "services", ROOT / "deploy", ROOT / "tools"]


def assert_kept(rule: Rule, folders: list[Path], *, exceptions: tuple[str, ...] = ()) -> None:
    broken = [
        p
        for folder in folders
        for p in rule(folder)
        if not any(exception in p for exception in exceptions)
    ]

    assert not broken, listed(broken)


def test_every_service_is_listed() -> None:
    names = {service.name for service in SERVICES}

    assert names >= {"org", "billing", "membership", "gateway"}
    assert all((service.package / "__init__.py").exists() for service in SERVICES)


def test_only_the_chassis_ends_transactions() -> None:
    assert_kept(rules.transaction_words, OUTSIDE_CHASSIS)


def test_only_commands_print() -> None:
    assert_kept(rules.prints, [ROOT / "services", ROOT / "shared"], exceptions=PRINTERS)


def test_modules_and_functions_are_within_their_limits() -> None:
    assert_kept(rules.sizes, OURS)


def test_the_chassis_contains_no_domain_noun() -> None:
    assert_kept(rules.domain_nouns, [CHASSIS])


def test_no_module_has_a_meaningless_name() -> None:
    assert_kept(rules.meaningless_names, OURS)


def test_every_module_has_a_docstring() -> None:
    assert_kept(rules.undocumented_modules, [*(s.package for s in SERVICES), ROOT / "shared"])


def test_no_comment_contains_open_work() -> None:
    assert_kept(rules.left_overs, OURS)


def test_years_are_printed_with_four_digits() -> None:
    assert_kept(rules.short_years, [ROOT / "services", ROOT / "shared"])


def test_only_the_failpoints_read_their_variable() -> None:
    assert_kept(rules.failpoint_variable, OURS)


def test_every_view_checks_the_caller_before_it_reads_the_body() -> None:
    assert_kept(rules.unguarded_bodies, [ROOT / "services"])


PLANTED: dict[str, tuple[Rule, str, str]] = {
    "commit": (
        rules.transaction_words,
        "org/actions.py",
        "def act(session):\n    session.commit()\n",
    ),
    "rollback": (
        rules.transaction_words,
        "org/actions.py",
        "def act(session):\n    session.rollback()\n",
    ),
    "nested": (
        rules.transaction_words,
        "org/actions.py",
        "with session.begin_nested():\n    pass\n",
    ),
    "print": (rules.prints, "org/actions.py", "print('here')\n"),
    "long module": (rules.sizes, "org/actions.py", "a = 1\n" * (rules.MODULE + 1)),
    "long app": (rules.sizes, "org/app.py", "a = 1\n" * (rules.APP + 1)),
    "long main": (rules.sizes, "org/__main__.py", "a = 1\n" * (rules.MAIN + 1)),
    "long function": (
        rules.sizes,
        "org/actions.py",
        "def act():\n" + "    a = 1\n" * (rules.FUNCTION + 1),
    ),
    "noun in a name": (rules.domain_nouns, "chassis/audit.py", "invoice_id = 1\n"),
    "noun in words": (rules.domain_nouns, "chassis/audit.py", '"""Keeps balances."""\n'),
    "utils": (rules.meaningless_names, "org/utils.py", "a = 1\n"),
    "helpers": (rules.meaningless_names, "org/helpers/__init__.py", "a = 1\n"),
    "silent module": (rules.undocumented_modules, "org/actions.py", "a = 1\n"),
    "left over": (rules.left_overs, "org/actions.py", "# " + "TO" + "DO: later\n"),
    "short year": (rules.short_years, "org/actions.py", "text = f'{at:%d %b %Y}'\n"),
    "short year by Babel": (rules.short_years, "org/actions.py", "format_date(day, 'd MMM y')\n"),
    "crash": (
        rules.failpoint_variable,
        "org/actions.py",
        f"os.environ['{rules.FAILPOINT_VARIABLE}']\n",
    ),
    "body first": (
        rules.unguarded_bodies,
        "org/views.py",
        "@blueprint.route('/')\n@blueprint.arguments(Body)\n@requires('x')\ndef view(body): pass\n",
    ),
}


@pytest.mark.parametrize("violation", PLANTED)
def test_the_rule_finds_a_violation(violation: str, tmp_path: Path) -> None:
    rule, where, text = PLANTED[violation]
    module = tmp_path / where
    module.parent.mkdir(parents=True)
    module.write_text(text)

    assert len(rule(tmp_path)) == 1


def test_limits_ignore_blank_lines_and_migrations(tmp_path: Path) -> None:
    (tmp_path / "actions.py").write_text("a = 1\n\n" * rules.MODULE)
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "0001_a.py").write_text("def upgrade():\n" + "    a = 1\n" * 400)

    assert rules.sizes(tmp_path) == []


def test_a_word_that_only_contains_a_noun_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("accountable = mapping = typing = shopping = discredited = 1\n")

    assert rules.domain_nouns(tmp_path) == []
