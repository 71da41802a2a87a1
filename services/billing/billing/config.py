"""What billing must be told."""

from dataclasses import dataclass

from chassis.runtime.settings import ServiceSettings


@dataclass(frozen=True, kw_only=True)
class Settings(ServiceSettings):
    """``membership_url``: where the issuer of access tokens answers."""

    membership_url: str
