"""``python -m membership ROLE``, or ``bootstrap`` to make the provider on the first run."""

import sys

from chassis.runtime import cli

from membership import app

if __name__ == "__main__":
    if sys.argv[1:2] == ["bootstrap"]:
        app.bootstrap_command(sys.argv[2:])
    else:
        cli.main(app.SERVICE)
