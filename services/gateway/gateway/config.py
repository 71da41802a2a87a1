"""What the gateway must be told."""

from dataclasses import dataclass

from chassis.runtime.settings import Secret


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``*_url``: where the services answer; ``public_url``: where we are reached; ``internal_secret``: our password
    at the services; ``rate_*``: per organization; ``public_rate``: calls without a token per client address in ten
    seconds; ``page_rate``: pages and their parts likewise; ``console_url``: where pages come from, if from anywhere;
    ``web_threads``: half of them make pages at most, for the console asks us meanwhile;
    ``proxies``: networks (comma separated) of front proxies whose X-Forwarded-For is believed;
    ``feed_*``: how often the feeds of revocations are asked, and after which silence nobody is let in."""

    org_url: str
    billing_url: str
    membership_url: str
    public_url: str
    internal_secret: Secret
    host: str = "0.0.0.0"  # noqa: S104 - inside its container; the front proxy decides who reaches it
    port: int = 8000
    web_workers: int = 1
    web_threads: int = 16
    log_level: str = "INFO"
    rate_per_second: int = 200
    rate_burst: int = 1000
    public_rate: int = 100
    page_rate: int = 500
    console_url: str = ""
    proxies: str = ""
    feed_poll_s: float = 1.0
    feed_silence_s: float = 10.0
