"""The console's own database, as the application has it."""

from chassis.db.database import Database
from flask import current_app
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

UNAVAILABLE = (OperationalError, PoolTimeout)
"""What is raised when the database does not respond."""


def database() -> Database:
    """The console's own database."""
    database: Database = current_app.extensions["database"]
    return database
