"""How many requests this process handles at once, of each kind, and of these for each tenant."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Self

from chassis.http import networks
from chassis.http.slots import Busy, Shares, Slot, Slots, TooManyAtOnce

from gateway.guard.turns import Turns

_WHO = ("customer", "person", "provider")
# How many at once of a network that sends more than its rate: enough for those who have a right to
# be let in, too few to slow down other networks.
_ABOVE_RATE = 2
# Seconds after which a download may be free again.
_RETRY_DOWNLOAD = 5


@dataclass(frozen=True)
class Kind:
    """The slots of one kind of request, and a tenant's shares of them."""

    slots: Slots
    shares: Shares

    def take(self, claims: Mapping[str, Any]) -> Slot:
        """A slot for a request with these claims. Raises TooManyAtOnce or Busy."""
        return self.slots.take(
            self.shares.of(organization_id=claims["org"], kind=claims["kind"], sub=claims["sub"])
        )


@dataclass(frozen=True)
class Capacity:
    """Three kinds of requests, none of which takes up what the others need: downloads (streams,
    CSV, PDF), uploads (bodies above the ordinary limit), and all others. ``per_network``: of these,
    how many without a token from one client network; ``turns``: of these, how many of one customer
    are handled at the same time."""

    requests: Kind
    downloads: Kind
    uploads: Kind
    per_network: int
    turns: Turns

    @classmethod
    def of(cls, settings: Any) -> Self:
        """The capacity that these settings give to a process."""

        def kind(name: str, total: int, retry_after: int = 1) -> Kind:
            share = (getattr(settings, f"{name}_per_{who}") for who in _WHO)
            return Kind(Slots(total, retry_after=retry_after), Shares(*share))

        return cls(
            requests=kind("requests", settings.requests),
            downloads=kind("downloads", settings.downloads, _RETRY_DOWNLOAD),
            uploads=kind("uploads", settings.uploads),
            per_network=settings.requests_per_network,
            turns=Turns(settings.turns_per_customer),
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
