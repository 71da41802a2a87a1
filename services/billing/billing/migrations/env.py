"""Alembic's entry."""

from billing.models import Base
from chassis import migrate

migrate.run_environment(Base.metadata)
