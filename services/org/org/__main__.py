"""``python -m org ROLE``; ``reconcile`` compares all organizations with the other services."""

import sys

from chassis.runtime import cli

from org import app

if __name__ == "__main__":
    if sys.argv[1:] == ["reconcile"]:
        app.reconcile_command()
    else:
        cli.main(app.SERVICE)
