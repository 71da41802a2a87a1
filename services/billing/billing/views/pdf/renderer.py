"""Rendering an invoice as a PDF, one at a time per process."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from chassis.auth.callers import Caller
from chassis.http.slots import Shares, Slots

from billing.views.pdf.layout import invoice_layout

_SCRIPT = Path(__file__).with_name("typst_process.py")
# An invoice of 5,000 lines takes three seconds and 600 MB, so each process renders one at a time.
# The gateway waits as long as this timeout.
_RENDERING = threading.Lock()
_TIMEOUT_SECONDS = 30
# The child needs none of our settings, and not one thread per core.
_ENVIRONMENT = {"RAYON_NUM_THREADS": "2"}
_SHARES = Shares(customer=2, person=2, provider=4)


def slots(threads: int) -> Slots:
    """The renderings that run or wait in a process with so many threads; the others go on serving
    requests."""
    return Slots(max(2, threads // 2), retry_after=2)


def shares(caller: Caller) -> dict[str, int]:
    """A caller's shares of these slots."""
    return _SHARES.of(organization_id=caller.organization_id, kind=caller.kind, sub=caller.sub)


def render(document: dict[str, Any]) -> bytes:
    """The PDF of an invoice as returned by ``queries.invoice_document``."""
    return _typeset(json.dumps(invoice_layout(document)).encode())


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
