"""Row locks."""

from typing import Any

from sqlalchemy import Select


def locked(query: Select[Any], lock: str) -> Select[Any]:
    """The query with its rows locked exclusively (``change``) or against changes (``use``)."""
    if not lock:
        return query
    return query.with_for_update(read=lock == "use").execution_options(populate_existing=True)
