"""CSV (RFC 4180) that is safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Sequence
from decimal import Decimal

# Makes spreadsheets read the file as UTF-8.
BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
Cell = str | int | Decimal | None
_FORMULA_STARTS = "=+-@\t\r\n\0＝＋－＠"


def line(cells: Sequence[Cell]) -> str:
    """One line. Numbers stay numbers; a text that a spreadsheet would run as a formula gets a
    leading apostrophe."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow([_text(cell) for cell in cells])
    return buffer.getvalue()


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, Decimal):
        return f"{cell:f}"
    if isinstance(cell, str) and cell.startswith(tuple(_FORMULA_STARTS)):
        return f"'{cell}"
    return str(cell)
