"""Reading request bodies and queries strictly, with a JSON pointer to each invalid field."""

import json
from typing import Any

import marshmallow as ma
from flask import Request
from flask_smorest import Blueprint as SmorestBlueprint
from webargs.flaskparser import FlaskParser

from chassis import strict_json
from chassis.errors import Invalid, Unreadable, UnsupportedMedia

_MERGE_PATCH = "application/merge-patch+json"
_MARSHMALLOW_CODES = {
    "Unknown field.": "unknown_field",
    "Missing data for required field.": "required",
}


class UnreadableBody(Unreadable):
    code = "unreadable_body"
    detail = "The request body is not valid JSON."


class UnsupportedBody(UnsupportedMedia):
    code = "unsupported_media_type"
    detail = "Send application/json."


def read_json(req: Request) -> dict[str, Any]:
    """The JSON object in the body, {} if there is no body. Raises UnreadableBody,
    UnsupportedBody."""
    raw = req.get_data(cache=True)
    if not raw:
        return {}
    accepted = {"application/json"}
    if req.method == "PATCH":
        accepted.add(_MERGE_PATCH)
    encoding = req.headers.get("Content-Encoding", "identity")
    if req.mimetype not in accepted or encoding != "identity":
        raise UnsupportedBody(f"Send {' or '.join(sorted(accepted))}.")
    return parse_object(raw)


def parse_object(raw: bytes) -> dict[str, Any]:
    """One JSON object: UTF-8, no duplicate keys, no NaN, no lone surrogates. Raises
    UnreadableBody."""
    try:
        value = strict_json.loads(raw.decode("utf-8"))
        if b"\\u" in raw:  # only an escape can hold a lone surrogate
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as problem:
        raise UnreadableBody() from problem
    if not isinstance(value, dict):
        raise UnreadableBody("The request body must be a JSON object.")
    return value


class Parser(FlaskParser):
    """webargs with our JSON reader, strict about unknown fields, raising Invalid with pointers."""

    DEFAULT_UNKNOWN_BY_LOCATION = {"json": ma.RAISE, "query": ma.RAISE, "headers": ma.EXCLUDE}

    def load_json(self, req: Request, schema: ma.Schema) -> dict[str, Any]:
        """The body; an empty one is unreadable if the schema requires a field."""
        value = read_json(req)
        is_empty = not value and not req.get_data(cache=True)
        if is_empty and any(field.required for field in schema.load_fields.values()):
            raise UnreadableBody("The request needs a JSON body.")
        return value

    def load_querystring(self, req: Request, schema: ma.Schema) -> Any:
        """The query; each parameter at most once, as otherwise one would silently win."""
        repeated = sorted(name for name, values in req.args.lists() if len(values) > 1)
        if repeated:
            raise ma.ValidationError({name: ["repeated: Must be given once."] for name in repeated})
        return super().load_querystring(req, schema)

    def handle_error(self, error: ma.ValidationError, *_: Any, **__: Any) -> Any:
        """Raise Invalid with a pointer for each field."""
        messages: Any = error.normalized_messages()  # type: ignore[no-untyped-call]
        if set(messages) <= {"json", "query"}:
            locations = messages.values()
            messages = {}
            for location in locations:
                messages |= location
        raise Invalid(errors=list(pointers(messages)))


class Blueprint(SmorestBlueprint):
    """A flask-smorest blueprint that reads bodies with our parser."""

    ARGUMENTS_PARSER = Parser()

    def arguments(self, schema: Any, **kwargs: Any) -> Any:
        """Read the arguments with the schema, which is made once and not for every request."""
        if isinstance(schema, type):
            schema = schema()
        return super().arguments(schema, **kwargs)


def pointers(messages: Any, path: str = "") -> list[dict[str, str]]:
    """marshmallow's nested messages as [{pointer, code, detail}]."""
    if not isinstance(messages, dict):
        details = messages if isinstance(messages, list) else [messages]
        return [{"pointer": path or "/", **_code_and_detail(str(detail))} for detail in details]
    errors = []
    for key, inner in messages.items():
        below = path if key == "_schema" else f"{path}/{_escape(str(key))}"
        errors += pointers(inner, below)
    return errors


def _code_and_detail(message: str) -> dict[str, str]:
    """Our own messages begin with their code: ``length: Must have …``."""
    code, separator, detail = message.partition(": ")
    if separator and code.replace("_", "").isalpha() and code.islower():
        return {"code": code, "detail": detail}
    return {"code": _MARSHMALLOW_CODES.get(message, "invalid"), "detail": message}


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
