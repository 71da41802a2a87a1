"""``python -m membership ROLE``; ``bootstrap`` makes the provider on the first run, and ``reset-mfa
EMAIL`` turns off the one-time codes of somebody who has lost them; ``reencrypt`` encrypts what is
encrypted with the current pepper."""

import sys

from chassis.runtime import cli

from membership import app

if __name__ == "__main__":
    if sys.argv[1:2] == ["bootstrap"]:
        app.bootstrap_command(sys.argv[2:])
    elif sys.argv[1:2] in (["reset-mfa"], ["reencrypt"]):
        app.operator_command(sys.argv[1:])
    else:
        cli.main(app.SERVICE)
