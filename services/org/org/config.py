"""Org's settings."""

from dataclasses import dataclass

from chassis.runtime.settings import Secret, ServiceSettings, needed_by


@dataclass(frozen=True, kw_only=True)
class Settings(ServiceSettings):
    """``billing_url``, ``membership_url``: the base addresses of the upstreams.
    ``reconciliation_hours``: how often everything is compared with them, 0 for never."""

    billing_url: str
    membership_url: str
    internal_secret: Secret = needed_by("web", "tick", default=Secret(""))
    reconciliation_hours: int = 24
