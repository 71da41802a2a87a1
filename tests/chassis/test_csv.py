"""CSV that is safe to open in a spreadsheet."""

import csv
import io
from decimal import Decimal

import pytest
from chassis import csv as safe_csv


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("=1", "'=1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@a", "'@a"),
        ("\ta", "'\ta"),
        ("＝1", "'＝1"),
        ("a=1", "a=1"),
        (Decimal("-0.000001"), "-0.000001"),
        (-1, "-1"),
        (None, ""),
        ("", ""),
    ],
)
def test_text_that_a_spreadsheet_would_run_is_escaped(cell: safe_csv.Cell, shown: str) -> None:
    assert next(csv.reader([safe_csv.line([cell, "end"])], strict=True)) == [shown, "end"]


@pytest.mark.parametrize("text", ["\rb", "\nb", 'a"b', "a,b", "a\r\nb"])
def test_special_characters_are_quoted(text: str) -> None:
    line = safe_csv.line([text, "end"])
    assert next(csv.reader(io.StringIO(line, newline=""), strict=True))[0].removeprefix("'") == text
