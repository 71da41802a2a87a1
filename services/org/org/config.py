"""What org must be told."""

from dataclasses import dataclass

from chassis.runtime.settings import ServiceSettings


@dataclass(frozen=True, kw_only=True)
class Settings(ServiceSettings):
    """``billing_url``, ``membership_url``: where the upstreams answer."""

    billing_url: str
    membership_url: str
