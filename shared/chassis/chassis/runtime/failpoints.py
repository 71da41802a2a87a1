"""Named instants at which a test may kill the process. Inert unless CLIENTELE_FAILPOINT names
one."""

import os
import signal


def hit(name: str) -> None:
    """Die here, as by kill -9, if the test asked for it."""
    if os.environ.get("CLIENTELE_FAILPOINT") == name:
        os.kill(os.getpid(), signal.SIGKILL)
