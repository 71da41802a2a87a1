"""How many requests this process handles at once, of each kind, and of these for each tenant."""

from dataclasses import dataclass
from typing import Any, Self

from chassis.http import networks
from chassis.http.slots import Shares, Slot, Slots
from flask import current_app, request

from console.guard.visitors import Visitor

_FILES = (".csv", ".pdf")
_WHO = ("customer", "person", "provider")
# Seconds after which a download may be free again.
_RETRY_DOWNLOAD = 5


@dataclass(frozen=True)
class Kind:
    """The slots of one kind of request, and a tenant's shares of them."""

    slots: Slots
    shares: Shares


@dataclass(frozen=True)
class Capacity:
    """Pages and downloads, neither of which takes up what the other needs. ``per_network``: of the
    pages, how many for those of one client network who are not in a workspace."""

    pages: Kind
    downloads: Kind
    per_network: int

    @classmethod
    def of(cls, settings: Any) -> Self:
        """The capacity that these settings give to a process."""

        def kind(name: str, total: int, retry_after: int = 1) -> Kind:
            share = (getattr(settings, f"{name}_per_{who}") for who in _WHO)
            return Kind(Slots(total, retry_after=retry_after), Shares(*share))

        return cls(
            pages=kind("pages", settings.pages),
            downloads=kind("downloads", settings.downloads, _RETRY_DOWNLOAD),
            per_network=settings.pages_per_network,
        )


def take_slot(visitor: Visitor | None) -> Slot:
    """A slot for this request. Raises TooManyAtOnce or Busy."""
    capacity: Capacity = current_app.extensions["capacity"]
    if visitor is None or visitor.workspace_or_none is None:
        trusted: networks.Networks = current_app.extensions["trusted_proxies"]
        network = networks.network_of(networks.client_address(trusted, request.environ))
        return capacity.pages.slots.take({network: capacity.per_network})
    kind = capacity.downloads if request.path.endswith(_FILES) else capacity.pages
    organization = visitor.workspace.organization
    return kind.slots.take(
        kind.shares.of(
            organization_id=organization["id"],
            kind=organization["kind"],
            sub=visitor.browser.identity_id,
        )
    )
