"""``python -m org ROLE``; ``reconcile`` compares all organizations with the other services."""

import sys

from chassis.runtime import cli

from org import app

if __name__ == "__main__":
    if sys.argv[1:2] == ["reconcile"]:
        app.reconcile_command(sys.argv[2:])
    else:
        cli.main(app.SERVICE)
