"""Reading request bodies strictly, and turning what is wrong with them into pointers."""

import json
from typing import Any

import marshmallow as ma
from flask import Request, request
from flask_smorest import Blueprint as SmorestBlueprint
from webargs.flaskparser import FlaskParser

from chassis import strict_json
from chassis.errors import Invalid, Unreadable, UnsupportedMedia

_MERGE_PATCH = "application/merge-patch+json"


def read_json(req: Request) -> dict[str, Any]:
    """The JSON object in the body, {} when there is no body. Raises Unreadable or
    UnsupportedMedia."""
    raw = req.get_data(cache=True)
    if not raw:
        return {}
    accepted = {"application/json"} | ({_MERGE_PATCH} if req.method == "PATCH" else set())
    if (
        req.mimetype not in accepted
        or req.headers.get("Content-Encoding", "identity") != "identity"
    ):
        raise UnsupportedMedia(
            f"Send {' or '.join(sorted(accepted))}.", code="unsupported_media_type"
        )
    return parse_object(raw)


def parse_object(raw: bytes) -> dict[str, Any]:
    """One JSON object: UTF-8, no duplicate keys, no NaN, no lone surrogates. Raises Unreadable."""
    try:
        read = strict_json.loads(raw.decode("utf-8"))
        if b"\\u" in raw:  # the only way in for a lone surrogate
            json.dumps(read, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as problem:
        raise Unreadable("The body is not valid JSON.", code="unreadable_body") from problem
    if not isinstance(read, dict):
        raise Unreadable("The body must be a JSON object.", code="unreadable_body")
    return read


class Parser(FlaskParser):
    """webargs, with our reader, strict about unknown fields, answering Invalid with pointers."""

    DEFAULT_UNKNOWN_BY_LOCATION = {"json": ma.RAISE, "query": ma.RAISE, "headers": ma.EXCLUDE}

    def load_json(self, req: Request, schema: ma.Schema) -> dict[str, Any]:
        """The body; an empty one is unreadable where the schema needs something."""
        read = read_json(req)
        if (
            not read
            and not req.get_data(cache=True)
            and any(f.required for f in schema.load_fields.values())
        ):
            raise Unreadable("The request needs a JSON body.", code="unreadable_body")
        return read

    def load_querystring(self, req: Request, schema: ma.Schema) -> Any:
        """The query; each parameter once, for of two one would win unseen."""
        if twice := sorted(name for name, given in req.args.lists() if len(given) > 1):
            raise ma.ValidationError({name: ["repeated: Must be given once."] for name in twice})
        return super().load_querystring(req, schema)

    def handle_error(self, error: ma.ValidationError, *_: Any, **__: Any) -> Any:
        """Raise Invalid with a pointer for each field."""
        messages: Any = error.normalized_messages()  # type: ignore[no-untyped-call]
        if set(messages) <= {"json", "query"}:
            messages = {k: v for part in messages.values() for k, v in part.items()}
        raise Invalid(
            "The request has invalid fields.", code="invalid", errors=list(pointers(messages))
        )


class Blueprint(SmorestBlueprint):
    """A flask-smorest blueprint that reads bodies our way."""

    ARGUMENTS_PARSER = Parser()


def pointers(messages: Any, path: str = "") -> list[dict[str, str]]:
    """marshmallow's nested messages as [{pointer, code, detail}]."""
    if isinstance(messages, dict):
        return [
            row
            for key, inner in messages.items()
            for row in pointers(inner, path if key == "_schema" else f"{path}/{_escape(str(key))}")
        ]
    details = messages if isinstance(messages, list) else [messages]
    return [{"pointer": path or "/", **_code_and_detail(str(d))} for d in details]


def patch_document() -> dict[str, Any]:
    """The raw merge patch of this request, to tell absent from null."""
    return read_json(request)


def _code_and_detail(message: str) -> dict[str, str]:
    """Our own messages begin with their code: ``length: Must have …``."""
    known = {"Unknown field.": "unknown_field", "Missing data for required field.": "required"}
    code, found, detail = message.partition(": ")
    if found and code.replace("_", "").isalpha() and code.islower():
        return {"code": code, "detail": detail}
    return {"code": known.get(message, "invalid"), "detail": message}


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
