"""Where the chassis' own migrations are, and the table with their revision. Separate from
``migrations``, which loads Alembic."""

from pathlib import Path

CHASSIS = Path(__file__).parent / "migrations"
VERSION_TABLE = "alembic_version_chassis"
