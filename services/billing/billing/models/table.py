"""The declarative base of billing's tables."""

from chassis.db import columns
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """Billing's own tables."""

    metadata = columns.metadata()
