"""What the services say to each other.

A message may gain an optional field; anything else is a new class with the next version, said beside the
old one until nobody hears the old one any more.
"""

from contracts import billing, membership, org
from contracts.message import Message, by_type

__all__ = ["Message", "billing", "by_type", "membership", "org"]
