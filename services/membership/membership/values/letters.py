"""What a mail says."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A mail about to be sent; ``token`` is the raw one and exists nowhere else."""

    mail_id: int
    purpose: str
    to: str
    token: str
    given_name: str
    organization: str
    has_password: bool
