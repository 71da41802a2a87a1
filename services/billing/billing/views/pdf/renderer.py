"""Rendering an invoice as a PDF, one at a time per process."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from chassis.errors import Unavailable

from billing.views.pdf.layout import invoice_layout

_SCRIPT = Path(__file__).with_name("typst_process.py")
# An invoice of 5,000 lines takes three seconds and 600 MB, so each process renders one at a time.
# A few requests may wait for it, but not all the threads that others need. The gateway waits as
# long as this timeout.
_RENDERING = threading.Lock()
_WAITING = threading.BoundedSemaphore(3)
_TIMEOUT_SECONDS = 30
# The child needs none of our settings, and not one thread per core.
_ENVIRONMENT = {"RAYON_NUM_THREADS": "2"}


class RenderingBusy(Unavailable):
    code = "service_unavailable"
    detail = "Too many invoices are being rendered. Try again in a moment."


def render(document: dict[str, Any]) -> bytes:
    """The PDF of an invoice as returned by ``queries.invoice_document``. Raises RenderingBusy."""
    if not _WAITING.acquire(blocking=False):
        raise RenderingBusy(retry_after=2)
    try:
        return _typeset(json.dumps(invoice_layout(document)).encode())
    finally:
        _WAITING.release()


def _typeset(layout: bytes) -> bytes:
    with _RENDERING:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-I", str(_SCRIPT)],
            input=layout,
            capture_output=True,
            env=_ENVIRONMENT,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    return done.stdout
