"""ETags over the patchable fields of a single resource."""

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
    return hashlib.sha256(json.dumps(patchable, sort_keys=True, default=str).encode()).hexdigest()[
        :32
    ]


def check(patchable: Any) -> None:
    """Raise Changed when the caller sent an If-Match that does not name these values."""
    if "If-Match" in request.headers and not request.if_match.contains(etag(patchable)):
        raise Changed()


def tag(answer: Response, patchable: Any) -> Response:
    """The answer with its ETag."""
    answer.set_etag(etag(patchable))
    return answer
