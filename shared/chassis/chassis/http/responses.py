"""JSON and CSV responses."""

from collections.abc import Iterable
from typing import Any

from flask import Response, jsonify


def json_response(
    body: Any, status: int = 200, *, content_type: str = "application/json"
) -> Response:
    """A response with this body, encoded as the application encodes JSON."""
    response = jsonify(body)
    response.status_code = status
    response.content_type = content_type
    return response


def csv_response(lines: Iterable[str] | Iterable[bytes], filename: str) -> Response:
    """A CSV file to download, sent while its lines are produced."""
    response = Response(lines, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response
