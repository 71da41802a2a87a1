"""Typesets one invoice, read from standard input, in a process of its own.

Typst keeps its intermediate results, hundreds of megabytes for a long invoice. The script imports
nothing of billing, so that the process starts quickly.
"""

import json
import os
import sys
from pathlib import Path

import typst

_FOLDER = Path(__file__).parent


def typeset(layout: str) -> bytes:
    """The PDF/A-2b of a layout (JSON), with no fonts but ours, dated as the layout says."""
    fonts = typst.Fonts(
        include_system_fonts=False,
        include_embedded_fonts=False,
        font_paths=[str(_FOLDER / "fonts")],
    )
    return typst.compile(
        str(_FOLDER / "invoice.typ"),
        root=str(_FOLDER),
        font_paths=fonts,
        sys_inputs={"sheet": layout},
        pdf_standards=["a-2b"],
        timestamp=json.loads(layout)["stamped_at"],
    )


if __name__ == "__main__":
    os.nice(5)  # requests go first: a rendering takes a processor for seconds
    sys.stdout.buffer.write(typeset(sys.stdin.read()))
