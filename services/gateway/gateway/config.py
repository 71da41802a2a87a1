"""The gateway's settings."""

from collections.abc import Iterable
from dataclasses import dataclass, make_dataclass

from chassis.runtime.settings import Misconfigured, Secret


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What does not depend on the services there are.

    ``registry``: the registry of services (deploy/services.toml); ``public_url``: our public
    address; ``internal_secret``: our password at the services; ``rate_per_second`` and
    ``rate_burst``: for each organization; ``public_rate``: for each client network in ten seconds,
    of each of these: requests that need no token (above it, two at once), with a refused token, and
    for the gateway's own paths; ``trusted_proxies``: networks (separated by commas or spaces) of
    the proxies whose X-Forwarded-For is believed; ``feed_poll_s``: seconds between two looks at the
    feeds of revocations while there are requests; ``feed_silence_s``: seconds without a response
    after which no token is accepted; ``readiness_s``: seconds for which the outcome of ``/readyz``
    is kept; ``tls_certificate``, ``tls_authorities`` and ``readiness_file``: as of every service.

    How many of a kind at once: ``downloads`` (streams, CSV, PDF) and ``uploads`` (bodies above 64
    KiB) of this process, the other threads being for all other requests; and of each kind for one
    customer, for one person of the provider's staff or API key, and for a provider's together.
    ``requests_per_network``: of those that need no token, for one client network.
    ``turns_per_customer``: how many ordinary requests of one customer are handled at the same time;
    its others wait for their turn.

    Raises Misconfigured if nothing is left for ordinary requests."""

    registry: str
    public_url: str
    internal_secret: Secret
    host: str = "0.0.0.0"  # noqa: S104 - inside its container; only the proxy reaches it
    port: int = 8000
    web_workers: int = 1
    web_threads: int = 80
    log_level: str = "INFO"
    rate_per_second: int = 200
    rate_burst: int = 1000
    public_rate: int = 100
    requests_per_customer: int = 8
    requests_per_person: int = 16
    requests_per_provider: int = 24
    requests_per_network: int = 16
    turns_per_customer: int = 2
    downloads: int = 24
    downloads_per_customer: int = 2
    downloads_per_person: int = 2
    downloads_per_provider: int = 16
    uploads: int = 8
    uploads_per_customer: int = 2
    uploads_per_person: int = 4
    uploads_per_provider: int = 6
    trusted_proxies: str = ""
    feed_poll_s: float = 1.0
    feed_silence_s: float = 10.0
    readiness_s: float = 1.0
    tls_certificate: str = ""
    tls_authorities: str = ""
    readiness_file: str = ""

    def __post_init__(self) -> None:
        if self.requests < 1:
            raise Misconfigured("WEB_THREADS must be more than DOWNLOADS and UPLOADS together.")
        if self.turns_per_customer < 1:
            raise Misconfigured("TURNS_PER_CUSTOMER must be 1 or more.")

    @property
    def requests(self) -> int:
        """The ordinary requests at once of this process."""
        return self.web_threads - self.downloads - self.uploads


def settings_with_urls(services: Iterable[str]) -> type[Settings]:
    """The settings with the addresses of each of these services: ``org_url``, ..., and
    ``org_downloads_url``, where downloads go if it is set."""
    names = list(services)
    fields = [(f"{name}_url", str) for name in names]
    optional = [(f"{name}_downloads_url", str, "") for name in names]
    return make_dataclass(
        "Settings", [*fields, *optional], bases=(Settings,), frozen=True, kw_only=True
    )
