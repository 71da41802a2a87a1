"""Alembic's environment."""

from chassis import migrate
from console import models

migrate.run_environment(models.Base.metadata, shared=False)
