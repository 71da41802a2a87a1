"""How many requests this process handles at once, of each kind, and of these for each tenant."""

from dataclasses import dataclass
from typing import Any, Self

from chassis.http import networks
from chassis.http.slots import SharedSlots, Slot
from flask import current_app, request

from console.guard.visitors import Visitor

_FILES = (".csv", ".pdf")
# Seconds after which a download may be free again.
_RETRY_DOWNLOAD = 5


@dataclass(frozen=True)
class Capacity:
    """Pages and downloads, neither of which takes up what the other needs. ``per_network``: of the
    pages, how many for those of one client network who are not in a workspace."""

    pages: SharedSlots
    downloads: SharedSlots
    per_network: int

    @classmethod
    def of(cls, settings: Any) -> Self:
        """The capacity that these settings give to a process."""
        return cls(
            pages=SharedSlots.of(settings, "pages"),
            downloads=SharedSlots.of(settings, "downloads", retry_after=_RETRY_DOWNLOAD),
            per_network=settings.pages_per_network,
        )


def take_slot(visitor: Visitor | None) -> Slot:
    """A slot for this request. Raises TooManyAtOnce or Busy."""
    capacity: Capacity = current_app.extensions["capacity"]
    if visitor is None or visitor.workspace_or_none is None:
        trusted: networks.Networks = current_app.extensions["trusted_proxies"]
        network = networks.network_of(networks.client_address(trusted, request.environ))
        return capacity.pages.slots.take({network: capacity.per_network})
    shared = capacity.downloads if request.path.endswith(_FILES) else capacity.pages
    organization = visitor.workspace.organization
    return shared.take(
        organization_id=organization["id"],
        kind=organization["kind"],
        sub=visitor.browser.identity_id,
    )
