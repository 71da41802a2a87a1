"""Row locks."""

from typing import Any

from sqlalchemy import Select


def locked(query: Select[Any], lock: str, *, of: Any = None) -> Select[Any]:
    """The query with its rows locked exclusively (``change``) or against changes (``use``).
    ``of``: only those of this table."""
    if not lock:
        return query
    query = query.with_for_update(read=lock == "use", of=of)
    return query.execution_options(populate_existing=True)
