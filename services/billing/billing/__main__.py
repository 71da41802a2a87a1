"""``python -m billing ROLE``."""

from chassis import roles

from billing.app import SERVICE

if __name__ == "__main__":
    roles.main(SERVICE)
