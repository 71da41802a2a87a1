"""The gateway's settings."""

from collections.abc import Iterable
from dataclasses import dataclass, make_dataclass

from chassis.runtime.settings import Secret


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What does not depend on the services there are.

    ``registry``: the registry of services (deploy/services.toml); ``public_url``: our public
    address; ``internal_secret``: our password at the services; ``rate_per_second`` and
    ``rate_burst``: for each organization; ``public_rate``: for each client network, requests
    without a token in ten seconds; ``trusted_proxies``: networks (separated by commas or spaces) of
    the proxies whose X-Forwarded-For is believed; ``feed_poll_s``: seconds between two looks at the
    feeds of revocations; ``feed_silence_s``: seconds without a response after which no token is
    accepted."""

    registry: str
    public_url: str
    internal_secret: Secret
    host: str = "0.0.0.0"  # noqa: S104 - inside its container; only the proxy reaches it
    port: int = 8000
    web_workers: int = 1
    web_threads: int = 16
    log_level: str = "INFO"
    rate_per_second: int = 200
    rate_burst: int = 1000
    public_rate: int = 100
    trusted_proxies: str = ""
    feed_poll_s: float = 1.0
    feed_silence_s: float = 10.0


def settings_with_urls(services: Iterable[str]) -> type[Settings]:
    """The settings with an address for each of these services: ``org_url``, ..."""
    fields = [(f"{name}_url", str) for name in services]
    return make_dataclass("Settings", fields, bases=(Settings,), frozen=True, kw_only=True)
