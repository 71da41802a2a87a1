"""How many requests this process handles at once, of each kind, and of these for each tenant."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Self

from chassis.http import networks
from chassis.http.slots import Busy, SharedSlots, Slot, TooManyAtOnce

from gateway.guard.turns import TenantTurns

# How many at once of a network that sends more than its rate: enough for those who have a right to
# be let in, too few to slow down other networks.
_ABOVE_RATE = 2
# Seconds after which a download may be free again.
_RETRY_DOWNLOAD = 5


def slot_for(shared: SharedSlots, claims: Mapping[str, Any]) -> Slot:
    """A slot for a request with these claims. Raises TooManyAtOnce or Busy."""
    return shared.take(organization_id=claims["org"], kind=claims["kind"], sub=claims["sub"])


@dataclass(frozen=True)
class Capacity:
    """Three kinds of requests, none of which takes up what the others need: downloads (streams,
    CSV, PDF), uploads (bodies above the ordinary limit), and all others. ``per_network``: of these,
    how many without a token from one client network; ``turns``: of these, how many of one customer
    are handled at the same time."""

    requests: SharedSlots
    downloads: SharedSlots
    uploads: SharedSlots
    per_network: int
    turns: TenantTurns

    @classmethod
    def of(cls, settings: Any) -> Self:
        """The capacity that these settings give to a process."""
        return cls(
            requests=SharedSlots.of(settings, "requests"),
            downloads=SharedSlots.of(settings, "downloads", retry_after=_RETRY_DOWNLOAD),
            uploads=SharedSlots.of(settings, "uploads"),
            per_network=settings.requests_per_network,
            turns=TenantTurns(settings.turns_per_customer),
        )

    def take_turn(self, claims: Mapping[str, Any] | None) -> AbstractContextManager[None]:
        """The turn of an ordinary request, for a customer's. Raises TooManyAtOnce."""
        if claims is None or claims["kind"] != "customer":
            return nullcontext()
        return self.turns.take(claims["org"])

    def take_without_token(self, address: str, *, is_within_rate: bool) -> Slot:
        """A slot for a request that needs no token. Raises TooManyAtOnce or Busy."""
        network = networks.network_of(address)
        if is_within_rate:
            return self.requests.slots.take({network: self.per_network})
        try:
            return self.requests.slots.take({network: min(_ABOVE_RATE, self.per_network)})
        except TooManyAtOnce:
            raise Busy(retry_after=1) from None
