"""The console's settings."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from chassis.runtime.settings import Misconfigured, Secret

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``gateway_url``: the API's address; ``public_url``: the address people use, https except on
    this machine; ``trusted_proxies``: networks (separated by commas or spaces) of the proxies
    whose X-Forwarded-For is believed; ``tls_certificate``, ``tls_authorities`` and
    ``readiness_file``: as of every service.

    How many at once: ``downloads`` (CSV, PDF) of this process, the other threads being for pages;
    and of each kind for one customer, for one person of the provider's staff, and for all of them.
    ``pages_per_network``: for those of one client network who are not in a workspace.

    Raises Misconfigured if cookies could be intercepted, or nothing is left for pages."""

    database_url: Secret
    gateway_url: str
    public_url: str
    host: str = "0.0.0.0"  # noqa: S104 - inside its container; the network decides who reaches it
    port: int = 8000
    web_workers: int = 1
    web_threads: int = 28
    log_level: str = "INFO"
    trusted_proxies: str = ""
    tls_certificate: str = ""
    tls_authorities: str = ""
    readiness_file: str = ""
    pages_per_customer: int = 8
    pages_per_person: int = 8
    pages_per_provider: int = 12
    pages_per_network: int = 8
    downloads: int = 12
    downloads_per_customer: int = 2
    downloads_per_person: int = 2
    downloads_per_provider: int = 8

    def __post_init__(self) -> None:
        if self.pages < 1:
            raise Misconfigured("WEB_THREADS must be more than DOWNLOADS.")
        at = urlsplit(self.public_url)
        if at.scheme != "https" and at.hostname not in _LOOPBACK:
            raise Misconfigured("PUBLIC_URL must begin with https:// unless it is this machine.")

    @property
    def pages(self) -> int:
        """The pages at once of this process."""
        return self.web_threads - self.downloads

    @property
    def is_secure(self) -> bool:
        """Whether people use https."""
        return self.public_url.startswith("https://")
