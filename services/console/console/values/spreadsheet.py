"""Lines of a file that spreadsheets open as what it is: RFC 4180, and no text in it is run as a
formula."""

import csv
import io
from collections.abc import Sequence
from decimal import Decimal

# Without it some take UTF-8 for something else.
BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
_RUN = "=+-@\t\r\n\0＝＋－＠"
Cell = str | int | Decimal | None


def line(cells: Sequence[Cell]) -> str:
    """One line. Numbers stay numbers, also below zero; a text that begins like a formula gets an
    apostrophe."""
    made = io.StringIO()
    csv.writer(made).writerow([_plain(cell) for cell in cells])
    return made.getvalue()


def _plain(cell: Cell) -> str:
    if isinstance(cell, Decimal):
        return f"{cell:f}"
    if isinstance(cell, str):
        return f"'{cell}" if cell and cell[0] in _RUN else cell
    return "" if cell is None else str(cell)
