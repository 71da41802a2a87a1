"""Alembic's entry."""

from chassis.db import migrations
from chassis.db.columns import Base

migrations.run_environment(Base.metadata)
