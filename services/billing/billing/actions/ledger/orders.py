"""What the posting engine is told to do."""

from typing import NamedTuple

from chassis.auth.actor import Actor

from billing.models.decisions import Command


class Order(NamedTuple):
    """A command to a customer's account, and who gives it.

    ``provider_id``: the provider that the customer must belong to; None if that was checked.
    """

    organization_id: str
    command: Command
    by: Actor
    provider_id: str | None = None
