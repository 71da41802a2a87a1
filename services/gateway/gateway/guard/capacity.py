"""How many requests this process handles at once, of each kind, and of these for each tenant."""

from collections.abc import Mapping
from typing import Any

from chassis.http import networks
from chassis.http.slots import Shares, Slot, Slots

from gateway.config import Settings

_RETRY_DOWNLOAD = 5


class Capacity:
    """Three kinds of requests, none of which takes up what the others need: downloads (streams,
    CSV, PDF), uploads (bodies above the ordinary limit), and all others."""

    def __init__(self, settings: Settings) -> None:
        self._requests = Slots(settings.requests)
        self._downloads = Slots(settings.downloads, retry_after=_RETRY_DOWNLOAD)
        self._uploads = Slots(settings.uploads)
        self._request_shares = Shares(
            settings.requests_per_customer,
            settings.requests_per_person,
            settings.requests_per_provider,
        )
        self._download_shares = Shares(
            settings.downloads_per_customer,
            settings.downloads_per_person,
            settings.downloads_per_provider,
        )
        self._upload_shares = Shares(
            settings.uploads_per_customer,
            settings.uploads_per_person,
            settings.uploads_per_provider,
        )
        self._per_network = settings.requests_per_network

    def take_open(self, address: str) -> Slot:
        """A slot for a request without a token. Raises TooManyAtOnce or Busy."""
        return self._requests.take({networks.network_of(address): self._per_network})

    def take_request(self, claims: Mapping[str, Any]) -> Slot:
        """A slot for an ordinary request. Raises TooManyAtOnce or Busy."""
        return self._requests.take(_shares(self._request_shares, claims))

    def take_download(self, claims: Mapping[str, Any]) -> Slot:
        """A slot for a download. Raises TooManyAtOnce or Busy."""
        return self._downloads.take(_shares(self._download_shares, claims))

    def take_upload(self, claims: Mapping[str, Any]) -> Slot:
        """A slot for an upload. Raises TooManyAtOnce or Busy."""
        return self._uploads.take(_shares(self._upload_shares, claims))


def _shares(shares: Shares, claims: Mapping[str, Any]) -> dict[str, int]:
    return shares.of(organization_id=claims["org"], kind=claims["kind"], sub=claims["sub"])
