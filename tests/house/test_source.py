"""What can be read off the source. Each rule is seen to hold, and seen to bite on a planted
violation."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.house import rules
from tests.house.places import CHASSIS, OURS, ROOT, SERVICES, listed

Rule = Callable[[Path], list[str]]

# Commands: each prints the answer to what somebody typed.
PRINTERS = ("/chassis/runtime/cli.py:", "/membership/app.py:")
OUTSIDE_CHASSIS = [ROOT / "services", ROOT / "deploy", ROOT / "tools"]


def assert_kept(rule: Rule, folders: list[Path], *, but: tuple[str, ...] = ()) -> None:
    broken = [
        p
        for folder in folders
        for p in rule(folder)
        if not any(exception in p for exception in but)
    ]

    assert not broken, listed(broken)


def test_every_service_is_found() -> None:
    found = {service.name for service in SERVICES}

    assert found >= {"org", "billing", "membership", "gateway"}
    assert all((service.package / "__init__.py").exists() for service in SERVICES)


def test_nobody_ends_a_transaction_but_the_chassis() -> None:
    assert_kept(rules.transaction_words, OUTSIDE_CHASSIS)


def test_nobody_prints_but_commands() -> None:
    assert_kept(rules.prints, [ROOT / "services", ROOT / "shared"], but=PRINTERS)


def test_nothing_is_larger_than_its_cap() -> None:
    assert_kept(rules.sizes, OURS)


def test_the_chassis_knows_no_domain() -> None:
    assert_kept(rules.domain_nouns, [CHASSIS])


def test_every_module_is_named_for_what_is_in_it() -> None:
    assert_kept(rules.names_that_say_nothing, OURS)


def test_every_module_says_what_it_is() -> None:
    assert_kept(rules.undocumented_modules, [*(s.package for s in SERVICES), ROOT / "shared"])


def test_nothing_is_left_to_do_in_comments() -> None:
    assert_kept(rules.left_overs, OURS)


def test_only_the_chassis_can_be_told_to_die() -> None:
    assert_kept(rules.crash_variable, OURS)


def test_every_view_asks_who_is_there_before_it_reads_the_body() -> None:
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
    "utils": (rules.names_that_say_nothing, "org/utils.py", "a = 1\n"),
    "helpers": (rules.names_that_say_nothing, "org/helpers/__init__.py", "a = 1\n"),
    "silent module": (rules.undocumented_modules, "org/actions.py", "a = 1\n"),
    "left over": (rules.left_overs, "org/actions.py", "# " + "TO" + "DO: later\n"),
    "crash": (rules.crash_variable, "org/actions.py", f"os.environ['{rules.CRASH_VARIABLE}']\n"),
    "body first": (
        rules.unguarded_bodies,
        "org/views.py",
        "@blueprint.route('/')\n@blueprint.arguments(Body)\n@requires('x')\ndef view(body): pass\n",
    ),
}


@pytest.mark.parametrize("violation", PLANTED)
def test_the_rule_bites(violation: str, tmp_path: Path) -> None:
    rule, where, text = PLANTED[violation]
    module = tmp_path / where
    module.parent.mkdir(parents=True)
    module.write_text(text)

    assert len(rule(tmp_path)) == 1


def test_caps_count_no_blank_lines_and_spare_migrations(tmp_path: Path) -> None:
    (tmp_path / "actions.py").write_text("a = 1\n\n" * rules.MODULE)
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "0001_a.py").write_text("def upgrade():\n" + "    a = 1\n" * 400)

    assert rules.sizes(tmp_path) == []


def test_a_word_that_only_contains_a_noun_is_no_noun(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("accountable = mapping = typing = shopping = discredited = 1\n")

    assert rules.domain_nouns(tmp_path) == []
