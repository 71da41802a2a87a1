"""The statement of account: every transaction, from zero to zero."""

from decimal import Decimal
from typing import Any

from rich.table import Table
from rich.text import Text

from devtools.demo.customer import Customer, money


def show(customer: Customer) -> None:
    """Print it, and check each line against the one before. Raises Differs."""
    tell = customer.tell
    tell.step("The statement of account")
    lines = _transactions(customer)
    tell.console.print()
    tell.console.print(_table(customer, lines), soft_wrap=True)
    balance = Decimal(0)
    for line in lines:
        balance += Decimal(line["amount"]) - Decimal(line.get("reserved", "0"))
        tell.check(f"balance after {line['id']}", line["balance_after"], money(balance), quiet=True)
    tell.check("transactions", len(lines), 8)
    tell.check("closing balance", money(balance), "0.00")


def _transactions(customer: Customer) -> list[dict[str, Any]]:
    """All of them, oldest first."""
    lines: list[dict[str, Any]] = []
    query = "limit=200"
    while query:
        page = customer.tell.answered(customer.get(f"account/transactions?{query}"), 200)
        lines += page["data"]
        query = f"limit=200&cursor={page['next_cursor']}" if page["has_more"] else ""
    return lines[::-1]


def _table(customer: Customer, lines: list[dict[str, Any]]) -> Table:
    title = f"Statement of account: {customer.organization['name']}, in {customer.currency}"
    table = Table(title=Text(title), show_footer=True, title_justify="left")
    closing = lines[-1]["balance_after"] if lines else "0.00"
    table.add_column("Date", no_wrap=True)
    table.add_column("Kind", no_wrap=True)
    table.add_column("Description", "Closing balance", no_wrap=True)
    table.add_column("Amount", justify="right", no_wrap=True)
    table.add_column("Reserved", justify="right", no_wrap=True)
    table.add_column("Balance", closing, justify="right", no_wrap=True)
    table.add_row("", "", "Opening balance", "", "", "0.00")
    for line in lines:
        when = line["posted_at"].replace("T", " ")[:19]
        figures = (line["amount"], line.get("reserved", ""), line["balance_after"])
        cells = (when, line["kind"], line["description"] or "", *figures)
        table.add_row(*map(Text, cells))
    return table
