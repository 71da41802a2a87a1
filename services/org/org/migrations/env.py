"""Alembic's entry."""

from chassis import migrate
from org.models import Base

migrate.run_environment(Base.metadata)
