"""JSON and CSV responses."""

from collections.abc import Iterable
from typing import Any

from flask import Response, current_app

JSON = "application/json"


def json_response(body: Any, status: int = 200, *, content_type: str = JSON) -> Response:
    """A response with this body, encoded as the application encodes JSON."""
    return Response(json_bytes(body), status=status, content_type=content_type)


def json_bytes(body: Any) -> bytes:
    """The body of a JSON response."""
    return current_app.json.dumps(body, separators=(",", ":")).encode() + b"\n"


def csv_response(lines: Iterable[str] | Iterable[bytes], filename: str) -> Response:
    """A CSV file to download, sent while its lines are produced."""
    response = Response(lines, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response
