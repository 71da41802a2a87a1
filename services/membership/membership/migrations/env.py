"""Alembic's environment."""

from chassis import migrate
from membership import models

migrate.run_environment(models.Base.metadata)
