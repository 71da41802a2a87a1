"""Noticing that credits run low. Only notes are made here, under the account's lock; the clock acts on them."""

from datetime import datetime

from sqlalchemy.orm import Session

from billing.models import Account


def watch(session: Session, account: Account, before: int, now: datetime) -> None:
    """Note it when usable credits, ``before`` until now, have come down to a threshold that somebody waits for: the
    provider's for the alert, the account's own for its automatic top-up."""
