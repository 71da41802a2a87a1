"""Where the chassis' own migrations are and where a database notes their revision. Apart from
``migrations``, which loads Alembic."""

from pathlib import Path

CHASSIS = Path(__file__).parent / "migrations"
VERSION_TABLE = "alembic_version_chassis"
