"""How rows are locked."""

from typing import Any

from sqlalchemy import Select


def locked(query: Select[Any], lock: str) -> Select[Any]:
    """The query's rows locked against others for ``change``, against changes for ``use``."""
    if not lock:
        return query
    return query.with_for_update(read=lock == "use").execution_options(populate_existing=True)
