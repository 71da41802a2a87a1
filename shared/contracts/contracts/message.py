"""The base of every message: a frozen dataclass with a wire name and a strict schema made from its
annotations."""

from dataclasses import asdict, dataclass, fields, is_dataclass
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Any, ClassVar, Self, get_args, get_origin, get_type_hints

import marshmallow as ma

_REGISTER: dict[str, type["Message"]] = {}
_PLAIN: dict[Any, type[ma.fields.Field[Any]]] = {
    str: ma.fields.String,
    bool: ma.fields.Boolean,
    datetime: ma.fields.AwareDateTime,
}


@dataclass(frozen=True, kw_only=True)
class Message:
    """Something one service says.

    ``TYPE`` is its wire name and routing key, ``AGGREGATE`` the field naming its aggregate, ``CONSUMERS`` our services
    that must get it (others may subscribe as they like), ``ORDERED`` whether order matters per aggregate."""

    TYPE: ClassVar[str] = ""
    CONSUMERS: ClassVar[tuple[str, ...]] = ()
    AGGREGATE: ClassVar[str] = "organization_id"
    ORDERED: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        if cls.TYPE and _REGISTER.setdefault(cls.TYPE, cls).__qualname__ != cls.__qualname__:
            raise TypeError(f"two messages are called {cls.TYPE}")

    @property
    def aggregate(self) -> str:
        """The id of the thing the message is about; order is kept per aggregate."""
        return str(getattr(self, self.AGGREGATE))

    @classmethod
    def producer(cls) -> str:
        """The service that may say it: the first part of its type."""
        return cls.TYPE.partition(".")[0]

    def dump(self) -> dict[str, Any]:
        """The body as it crosses the wire. Raises marshmallow's ValidationError when a field is not
        as declared."""
        kind: Any = type(self)
        schema = _schema(kind)
        body: dict[str, Any] = schema.dump(asdict(self))
        problems = schema.validate(body)
        if problems:
            raise ma.ValidationError(problems)
        return body

    @classmethod
    def load(cls, body: object) -> Self:
        """The message in a received body; unknown fields are ignored. Raises marshmallow's
        ValidationError."""
        if not isinstance(body, dict):
            raise ma.ValidationError("the body is not an object")
        kind: Any = cls
        loaded: Self = _schema(kind).load(body, unknown=ma.EXCLUDE)
        return loaded


def by_type(type_: str) -> type[Message] | None:
    """The message class with that wire name, or None."""
    return _REGISTER.get(type_)


def every_message() -> list[type[Message]]:
    """Every declared message, by wire name."""
    return [_REGISTER[name] for name in sorted(_REGISTER)]


@cache
def _schema(cls: Any) -> ma.Schema:
    hints = get_type_hints(cls)
    declared: dict[str, Any] = {f.name: _field(hints[f.name]) for f in fields(cls)}

    class Body(ma.Schema):
        class Meta:
            unknown = ma.EXCLUDE

        @ma.post_load
        def build(self, data: dict[str, Any], **_: Any) -> Any:
            return cls(**data)

    return Body.from_dict(declared, name=cls.__name__)()


def _field(hint: Any) -> ma.fields.Field[Any]:
    if isinstance(hint, UnionType):
        inner = next(a for a in get_args(hint) if a is not type(None))
        field = _field(inner)
        field.allow_none, field.required, field.load_default = True, False, None
        return field
    if get_origin(hint) is list:
        return ma.fields.List(_field(get_args(hint)[0]), required=True)
    if hint is int:
        return ma.fields.Integer(strict=True, required=True)
    if is_dataclass(hint):
        return ma.fields.Nested(_schema(hint), required=True)  # type: ignore[arg-type]
    if get_origin(hint) is dict or hint is dict:
        return ma.fields.Dict(required=True)
    return _PLAIN[hint](required=True)
