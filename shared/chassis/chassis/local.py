"""The embedded footing's bus: a message counts as sent once every hearer in this process has
committed."""

from collections.abc import Mapping, Sequence

from contracts import by_type

from chassis.inbox import Inbox
from chassis.relay import Letter, Receipt


class LocalBus:
    """Carries letters to the inboxes of the services in this process; the outbox itself is the
    queue."""

    def __init__(self, inboxes: Mapping[str, Inbox]) -> None:
        self.inboxes = inboxes

    def publish(self, letters: Sequence[Letter]) -> Receipt:
        """Hand each letter to each of its hearers. Raises when a hearer's database can't take
        it."""
        for letter in letters:
            kind = by_type(letter.type)
            for service in kind.HEARD_BY if kind else ():
                self.inboxes[service].receive(letter.body)
        return Receipt(frozenset(letter.id for letter in letters), {})
