"""The declarative base of org's tables."""

from chassis.db import columns
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """Org's own tables."""

    metadata = columns.metadata()
