"""Sets one sheet, read from standard input, in a process of its own: typst keeps what it has worked
out, and of a long invoice that is hundreds of megabytes. Stands alone, so that the process starts
at once."""

import json
import sys
from pathlib import Path

import typst

_HERE = Path(__file__).parent


def press(sheet: str) -> bytes:
    """The PDF/A-2b of a sheet, with the fonts beside it and no others, dated as the sheet says."""
    fonts = typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(_HERE / "fonts")]
    )
    return typst.compile(
        str(_HERE / "invoice.typ"),
        root=str(_HERE),
        font_paths=fonts,
        sys_inputs={"sheet": sheet},
        pdf_standards=["a-2b"],
        timestamp=json.loads(sheet)["stamped_at"],
    )


if __name__ == "__main__":
    sys.stdout.buffer.write(press(sys.stdin.read()))
