"""The declarative base."""

from chassis.db import columns
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """The base class of billing's tables."""

    metadata = columns.metadata()
