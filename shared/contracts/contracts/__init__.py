"""What the services say to each other.

A message may gain an optional field; anything else is a new class with the next version, said
beside the old one until nobody hears the old one any more.
"""

from contracts import billing, membership, org, usage
from contracts.message import Message, by_type

# Who speaks to our services without being one of them. Each has a login at the broker that can do
# nothing else.
OUTSIDERS = ("usage",)

__all__ = ["OUTSIDERS", "Message", "billing", "by_type", "membership", "org", "usage"]
