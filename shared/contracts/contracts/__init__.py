"""The messages between the services.

A message may gain an optional field. Any other change is a new class with the next version, which
is published next to the old one until no service consumes the old one any more.
"""

from contracts import billing, membership, org, usage
from contracts.message import Message, by_type

# Producers outside this system. Each has a login at the broker that can only publish its messages.
OUTSIDERS = ("usage",)

__all__ = ["OUTSIDERS", "Message", "billing", "by_type", "membership", "org", "usage"]
