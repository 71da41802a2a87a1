"""Alembic's environment."""

from chassis.db import migrations
from console import models

migrations.run_environment(models.Base.metadata)
