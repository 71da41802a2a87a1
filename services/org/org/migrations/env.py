"""Alembic's entry."""

from chassis.db import migrations
from org.models import Base

migrations.run_environment(Base.metadata)
