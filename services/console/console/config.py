"""The console's settings."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from chassis.runtime.settings import Misconfigured, Secret

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``gateway_url``: the API's address; ``public_url``: the address people use, https except on
    this machine; ``trusted_proxies``: networks (separated by commas or spaces) of the proxies
    whose X-Forwarded-For is believed.

    Raises Misconfigured if cookies could be intercepted."""

    database_url: Secret
    gateway_url: str
    public_url: str
    host: str = "0.0.0.0"  # noqa: S104 - inside its container; the network decides who reaches it
    port: int = 8000
    web_workers: int = 1
    web_threads: int = 16
    log_level: str = "INFO"
    trusted_proxies: str = ""

    def __post_init__(self) -> None:
        at = urlsplit(self.public_url)
        if at.scheme != "https" and at.hostname not in _LOOPBACK:
            raise Misconfigured("PUBLIC_URL must begin with https:// unless it is this machine.")

    @property
    def is_secure(self) -> bool:
        """Whether people use https."""
        return self.public_url.startswith("https://")
