"""Customers from a CSV file, created over the public API by a few workers at a time."""

import csv
import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from devtools.demo.api import Answer, Api
from devtools.demo.waiting import until

WORKERS = 4
COLUMNS = (
    "name",
    "country",
    "currency",
    "timezone",
    "pricing_model",
    "payment_mode",
    "credit_limit",
    "opening_credit",
    "billing_email",
    "billing_address",
    "billing_city",
    "owner_given_name",
    "owner_family_name",
    "owner_email",
    "customer_ref",
    "demo",
)


class BadFile(Exception):
    """The file is not a table of customers."""


@dataclass(frozen=True)
class Row:
    """A row of the file. ``number``: as in a spreadsheet, where the titles are row 1."""

    number: int
    cells: dict[str, str]
    key: str

    @property
    def label(self) -> str:
        """How people recognize the row."""
        return f"row {self.number} '{self.cells['name']}'"

    @property
    def organization(self) -> dict[str, Any]:
        """The body of the request that creates it, without empty cells."""
        cell = self.cells
        plain = (
            "name",
            "country",
            "currency",
            "timezone",
            "pricing_model",
            "payment_mode",
            "credit_limit",
        )
        billing = {
            "email": cell["billing_email"],
            "address": cell["billing_address"],
            "city": cell["billing_city"],
        }
        owner = {part: cell[f"owner_{part}"] for part in ("given_name", "family_name", "email")}
        return {
            **{name: cell[name] for name in plain if cell[name]},
            "billing": {name: value for name, value in billing.items() if value},
            "owner": owner,
            "buyer_tags": {"CustomerRef": cell["customer_ref"]} if cell["customer_ref"] else {},
            "demo": cell["demo"].lower() == "true",
        }


@dataclass(frozen=True)
class Outcome:
    """The result for a row. ``problem`` is empty if the customer exists now."""

    row: Row
    organization_id: str = ""
    was_there: bool = False
    problem: str = ""


def read(path: Path) -> list[Row]:
    """The rows of the file. Raises BadFile."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, strict=True)
            missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
            if missing:
                raise BadFile(f"{path}: these columns are missing: {', '.join(missing)}")
            lines = [_cells(line) for line in table]
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise BadFile(f"{path}: {problem}") from problem
    return [
        Row(number, cells, _key(path, number, cells)) for number, cells in enumerate(lines, start=2)
    ]


def _cells(line: dict[str, str | None]) -> dict[str, str]:
    return {name: (line[name] or "").strip() for name in COLUMNS}


def load(api: Api, rows: list[Row], console: Console) -> list[Outcome]:
    """Create those that do not exist yet; the result for each, in the order of the file."""
    outcomes = []
    with ThreadPoolExecutor(WORKERS) as workers, _progress(console, len(rows)) as advance:
        for done in as_completed([workers.submit(_load_row, api, row) for row in rows]):
            outcomes.append(done.result())
            advance()
    return sorted(outcomes, key=lambda outcome: outcome.row.number)


def _load_row(api: Api, row: Row) -> Outcome:
    created = api.call("POST", "/v1/organizations", row.organization, key=row.key, wait=10)
    if created.status != 201:
        return Outcome(row, problem=_problem(created))
    organization_id = created.body["id"]
    path = f"/v1/organizations/{organization_id}"
    if created.body["status"] == "provisioning" and not until(
        lambda: api.call("GET", path).body.get("status") != "provisioning", seconds=30
    ):
        return Outcome(row, organization_id, problem="still provisioning after 30 seconds")
    if row.cells["payment_mode"] == "prepaid" and row.cells["opening_credit"]:
        credit = {
            "amount": row.cells["opening_credit"],
            "method": "bank_transfer",
            "reference": "Opening credit",
        }
        credited = api.call("POST", f"{path}/account/top-ups", credit, key=f"{row.key}-credit")
        if credited.status != 201:
            return Outcome(row, organization_id, problem=f"opening_credit: {_problem(credited)}")
    return Outcome(row, organization_id, was_there=created.replayed)


def _problem(answer: Answer) -> str:
    """The error in one line: each invalid field, or the detail."""
    fields = [
        f"{error.get('pointer')} {error.get('detail')}" for error in answer.body.get("errors", [])
    ]
    return "; ".join(fields) or f"{answer.in_words} {answer.body.get('detail', '')}".strip()


def _key(path: Path, number: int, cells: dict[str, str]) -> str:
    """The Idempotency-Key: the same for the same row of the same file, so that loading it again
    creates no second customer."""
    content = json.dumps([path.name, number, cells], sort_keys=True)
    return f"demo-{hashlib.sha256(content.encode()).hexdigest()[:40]}"


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Callable[[], None]]:
    """A progress bar on a terminal, otherwise a line now and then."""
    if not console.is_terminal:
        yield _Counter(console, total)
        return
    columns = (TextColumn("    "), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("load", total=total)
        yield lambda: progress.advance(task)


class _Counter:
    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total, self._done = console, total, 0

    def __call__(self) -> None:
        self._done += 1
        if self._done % 10 == 0 or self._done == self._total:
            self._console.print(f"     {self._done} of {self._total}", highlight=False)
