"""Run a role of billing: ``python -m billing ROLE``."""

from chassis.runtime import cli

from billing.app import SERVICE

if __name__ == "__main__":
    cli.main(SERVICE)
