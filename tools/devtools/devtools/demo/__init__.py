"""The demo: loads customers from a file, then walks through the life of two, over the public API
only."""

import os
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import click
from rich.console import Console

from devtools.demo import rows, sample_data
from devtools.demo.api import Api, Unreachable
from devtools.demo.life import tell_life
from devtools.demo.narrator import Differs, Narrator
from devtools.demo.system import EMAIL, DidNotStart, System, await_ready, embedded

WIDTH = 110


def run(base_url: str | None, file: Path | None) -> int:
    """Run the demo; returns the exit code. ``base_url``: a running system, otherwise one is
    started; ``file``: customers to load."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    tell, began = Narrator(console), time.monotonic()
    try:
        customers = rows.read(file) if file else []
        if not base_url:
            tell.note("Starting a system for the demo. To use a running one, set BASE_URL=http://…")
        with _system(base_url) as system:
            faults = _run(system, customers, tell)
        if base_url:
            tell.chapter("See for yourself")
            tell.note(f"Open {system.base_url} and sign in as {system.email}.")
    except Differs as difference:
        return _ended(tell, began, f"Step {tell.steps} did not go as expected. {difference}")
    except (DidNotStart, Unreachable, rows.BadFile) as problem:
        return _ended(tell, began, str(problem))
    return _ended(tell, began, f"{faults} customers could not be loaded." if faults else "")


def _run(system: System, customers: list[rows.Row], tell: Narrator) -> int:
    """Load the customers and run every step; how many customers could not be loaded."""
    api = Api(system.base_url)
    tell.chapter(f"Clientele at {system.base_url}")
    tell.step(f"Sign in as {system.email}")
    body = tell.answered(api.sign_in(system.email, system.password), 201)
    tell.check("organization", body["organization"]["kind"], "provider")
    faults = _load(api, customers, tell) if customers else 0
    tell_life(api, tell, system.mails)
    return faults


def _load(api: Api, customers: list[rows.Row], tell: Narrator) -> int:
    tell.step(f"Load {len(customers)} customers")
    outcomes = rows.load(api, customers, tell.console)
    sample_data.add(api, outcomes, tell)
    faulty = [outcome for outcome in outcomes if outcome.problem]
    for outcome in faulty:
        tell.fault(f"{outcome.row.label}: {outcome.problem}")
    was_there = sum(outcome.was_there for outcome in outcomes)
    cells = [outcome.row.cells for outcome in outcomes if not outcome.problem]
    countries, currencies = {c["country"] for c in cells}, {c["currency"] for c in cells}
    tell.note(
        f"{len(cells) - was_there} created, {was_there} already there, {len(faulty)} refused; "
        f"{len(countries)} countries, {len(currencies)} currencies"
    )
    return len(faulty)


def _system(base_url: str | None) -> AbstractContextManager[System]:
    if not base_url:
        return embedded()
    folder = os.environ.get("MAIL_DIR")
    system = System(
        base_url.rstrip("/"),
        os.environ.get("CLIENTELE_ADMIN_EMAIL") or EMAIL,
        _password(),
        Path(folder) if folder else None,
    )
    await_ready(system)
    return nullcontext(system)


def _password() -> str:
    given = os.environ.get("CLIENTELE_ADMIN_PASSWORD")
    if given:
        return given
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True))
    raise click.UsageError(
        "Set CLIENTELE_ADMIN_PASSWORD to the password of the provider's administrator "
        "(and CLIENTELE_ADMIN_EMAIL to the address, unless it is admin@example.com)."
    )


def _ended(tell: Narrator, began: float, problem: str) -> int:
    if problem:
        tell.chapter("Failed")
        tell.fault(problem)
    else:
        tell.chapter("Done")
        tell.note(f"All {tell.steps} steps went as expected, {tell.checks} checks.")
    tell.note(f"It took {time.monotonic() - began:.1f} seconds.")
    return 1 if problem else 0
