"""``python -m gateway web``."""

import sys

from chassis.runtime.settings import Misconfigured

from gateway.app import serve

if __name__ == "__main__":
    if sys.argv[1:] != ["web"]:
        sys.exit("usage: python -m gateway web")
    try:
        serve()
    except Misconfigured as problem:
        sys.exit(f"gateway: {problem}")
