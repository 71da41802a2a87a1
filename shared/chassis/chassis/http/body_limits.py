"""How large request bodies may be, in bytes. Gateway and services enforce the same limits."""

from chassis.errors import TooLarge

DEFAULT = 64 * 1024
BULK = 4 * 1024 * 1024


def too_large(limit: int) -> TooLarge:
    """The error for a body above this limit."""
    return TooLarge(f"The request body may have at most {limit} bytes.")
