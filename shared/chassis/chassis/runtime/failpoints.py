"""Named points at which a test can kill the process. Inert unless CLIENTELE_FAILPOINT names
one."""

import os
import signal


def hit(name: str) -> None:
    """Die here, as by kill -9, if this failpoint is named."""
    if os.environ.get("CLIENTELE_FAILPOINT") == name:
        os.kill(os.getpid(), signal.SIGKILL)
