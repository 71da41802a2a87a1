"""``python -m org ROLE``."""

from chassis import roles

from org.app import SERVICE

if __name__ == "__main__":
    roles.main(SERVICE)
