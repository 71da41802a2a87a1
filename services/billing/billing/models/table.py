"""The declarative base of billing's tables."""

from chassis import sql
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """Billing's own tables."""

    metadata = sql.metadata()
