"""The base class of messages: a frozen dataclass with a type and a strict schema that is derived
from its annotations."""

from collections.abc import Callable
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
    """Something that a service publishes.

    ``TYPE``: its name and routing key; ``AGGREGATE``: the field with the id of its aggregate;
    ``CONSUMERS``: the services that must receive it; ``PUBLIC``: whether programs outside may
    subscribe to it, as they may not to commands, audit entries, reports of what is stored, and what
    names members; ``ORDERED``: whether the order per aggregate matters."""

    TYPE: ClassVar[str] = ""
    CONSUMERS: ClassVar[tuple[str, ...]] = ()
    PUBLIC: ClassVar[bool] = False
    AGGREGATE: ClassVar[str] = "organization_id"
    ORDERED: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        if cls.TYPE and _REGISTER.setdefault(cls.TYPE, cls).__qualname__ != cls.__qualname__:
            raise TypeError(f"two message classes have the type {cls.TYPE}")

    @property
    def aggregate(self) -> str:
        """The id of what the message is about."""
        return str(getattr(self, self.AGGREGATE))

    @classmethod
    def producer(cls) -> str:
        """The service that publishes it: the first part of its type."""
        return cls.TYPE.partition(".")[0]

    def dump(self) -> dict[str, Any]:
        """The body as it is sent. Raises marshmallow's ValidationError if a field is not as
        declared."""
        kind: Any = type(self)
        values = vars(self)
        if all(is_plain(values[name]) for name, is_plain in _plain_checks(kind)):
            return dict(values)
        schema = _schema(kind)
        body: dict[str, Any] = schema.dump(asdict(self))
        problems = schema.validate(body)
        if problems:
            raise ma.ValidationError(problems)
        return body

    @classmethod
    def load(cls, body: object) -> Self:
        """The message in a received body. Unknown fields are ignored. Raises marshmallow's
        ValidationError."""
        if not isinstance(body, dict):
            raise ma.ValidationError("the data is not an object")
        kind: Any = cls
        checks = _plain_checks(kind)
        if all(is_plain(body.get(name)) for name, is_plain in checks):
            return cls(**{name: body.get(name) for name, _ in checks})
        loaded: Self = _schema(kind).load(body, unknown=ma.EXCLUDE)
        return loaded


def by_type(type_: str) -> type[Message] | None:
    """The message class of this type, or None."""
    return _REGISTER.get(type_)


def every_message() -> list[type[Message]]:
    """Every message class, ordered by type."""
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


@cache
def _plain_checks(cls: Any) -> list[tuple[str, Callable[[Any], bool]]]:
    """By field, whether a value is one that the schema admits and leaves as it is, which is checked
    much faster than by the schema."""
    hints = get_type_hints(cls)
    return [(f.name, _plain_check(hints[f.name])) for f in fields(cls)]


def _plain_check(hint: Any) -> Callable[[Any], bool]:
    types = _plain_types(hint)
    if get_origin(hint) is not list:
        return lambda value: type(value) in types
    items = _plain_types(get_args(hint)[0])
    return lambda value: type(value) is list and all(type(item) in items for item in value)


def _plain_types(hint: Any) -> set[Any]:
    if isinstance(hint, UnionType):
        return set().union(*map(_plain_types, get_args(hint)))
    kind = get_origin(hint) or hint
    return {kind} & {str, bool, int, dict, type(None)}


def _field(hint: Any) -> ma.fields.Field[Any]:
    if isinstance(hint, UnionType):
        present = next(kind for kind in get_args(hint) if kind is not type(None))
        field = _field(present)
        field.allow_none = True
        field.required = False
        field.load_default = None
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
