"""Org's settings."""

from dataclasses import dataclass

from chassis.runtime.settings import ServiceSettings


@dataclass(frozen=True, kw_only=True)
class Settings(ServiceSettings):
    """``billing_url``, ``membership_url``: the base addresses of the upstreams."""

    billing_url: str
    membership_url: str
