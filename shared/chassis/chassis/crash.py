"""Named instants at which a test may kill the process. Inert unless CLIENTELE_CRASH_AT names
one."""

import os
import signal


def point(name: str) -> None:
    """Die here, as by kill -9, if the test asked for it."""
    if os.environ.get("CLIENTELE_CRASH_AT") == name:
        os.kill(os.getpid(), signal.SIGKILL)
