"""The base class of messages: a frozen dataclass with a type and a strict schema that is derived
from its annotations."""

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
        if _is_plain(vars(self), _plain_types(kind)):
            return dict(vars(self))
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
        types = _plain_types(kind)
        values = {name: body.get(name) for name in types}
        if _is_plain(values, types):
            return cls(**values)
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


# By field, the types of values, or of the items of lists, that the schema admits and leaves as they
# are. Checking them is much faster than the schema.
_PlainTypes = dict[str, tuple[frozenset[Any], frozenset[Any]]]


def _is_plain(values: dict[str, Any], types: _PlainTypes) -> bool:
    for name, value in values.items():
        of_value, of_items = types[name]
        kind = type(value)
        if kind not in of_value and not (
            kind is list and of_items and all(type(item) in of_items for item in value)
        ):
            return False
    return True


@cache
def _plain_types(cls: Any) -> _PlainTypes:
    types, hints = {}, get_type_hints(cls)
    for name in (f.name for f in fields(cls)):
        hint = hints[name]
        is_list = get_origin(hint) is list
        of_items = _plain(get_args(hint)[0]) if is_list else frozenset()
        types[name] = (_plain(hint), of_items)
    return types


def _plain(hint: Any) -> frozenset[Any]:
    if isinstance(hint, UnionType):
        return frozenset().union(*map(_plain, get_args(hint)))
    return frozenset({get_origin(hint) or hint} & {str, bool, int, dict, type(None)})


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
