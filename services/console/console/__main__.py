"""``python -m console web|migrate``."""

import sys

from chassis.runtime.settings import Misconfigured

from console.app import ROLES

if __name__ == "__main__":
    if sys.argv[1:] not in [[role] for role in ROLES]:
        sys.exit(f"usage: python -m console {'|'.join(ROLES)}")
    try:
        ROLES[sys.argv[1]]()
    except Misconfigured as problem:
        sys.exit(f"console: {problem}")
