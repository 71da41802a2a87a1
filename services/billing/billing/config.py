"""Billing's settings."""

from dataclasses import dataclass

from chassis.runtime.settings import ServiceSettings


@dataclass(frozen=True, kw_only=True)
class Settings(ServiceSettings):
    """``membership_url``: the service that issues access tokens."""

    membership_url: str
