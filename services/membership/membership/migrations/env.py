"""Alembic's environment."""

from chassis.db import migrations
from membership import models

migrations.run_environment(models.Base.metadata)
