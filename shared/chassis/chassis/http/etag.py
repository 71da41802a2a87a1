"""ETags over the patchable fields of a resource."""

import hashlib
import json
from typing import Any

from flask import Response, request

from chassis.errors import PreconditionFailed


class Changed(PreconditionFailed):
    code = "precondition_failed"
    detail = "The resource has changed since you read it. Read it again and repeat the change."


def etag(patchable: Any) -> str:
    """A strong validator for these values."""
    text = json.dumps(patchable, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def check(patchable: Any) -> None:
    """Raise Changed if the client sent an If-Match that does not name these values."""
    if "If-Match" in request.headers and not request.if_match.contains(etag(patchable)):
        raise Changed()


def tag(response: Response, patchable: Any) -> Response:
    """The response with its ETag."""
    response.set_etag(etag(patchable))
    return response
