"""``python -m org ROLE``."""

from chassis.runtime import cli

from org.app import SERVICE

if __name__ == "__main__":
    cli.main(SERVICE)
