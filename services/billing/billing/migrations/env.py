"""Alembic's entry."""

from billing.models import Base
from chassis.db import migrations

migrations.run_environment(Base.metadata)
