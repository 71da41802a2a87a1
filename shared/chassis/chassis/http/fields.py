"""Field types of the API, and what is wrong with a field."""

import unicodedata
from datetime import UTC, datetime
from typing import Any

import marshmallow as ma

from chassis import email_addresses, names
from chassis.runtime import clock, ids

_SHORTEST_INSTANT = len("2026-01-31T09:00Z")
_LONGEST_INSTANT = len("2026-01-31T09:00:00.123456789+01:00:00.123456")


class Text(ma.fields.String):
    """Text in NFC, trimmed, ``least`` to ``most`` characters, also before it is trimmed, without
    control characters except, if ``lines``, newlines and tabs."""

    def __init__(
        self, *, least: int = 1, most: int = 255, lines: bool = False, **kwargs: Any
    ) -> None:
        self.least, self.most, self.lines = least, most, lines
        plain = "[^\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]" if lines else "[^\\x00-\\x1f\\x7f-\\x9f]"
        pattern = f"^{plain}*" + f"[^\\s\\x00-\\x1f\\x7f-\\x9f]{plain}*" * least + "$"
        shape = {"minLength": least, "maxLength": most, "pattern": pattern}
        kwargs["metadata"] = {**shape, **kwargs.get("metadata", {})}
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        raw = str(super()._deserialize(value, attr, data, **kwargs))
        text = unicodedata.normalize("NFC", raw)
        allowed = "\n\t" if self.lines else ""
        controls = (c for c in text if unicodedata.category(c) in ("Cc", "Cs"))
        if any(c not in allowed for c in controls):
            raise ma.ValidationError("control_character: Control characters are not allowed.")
        text = text.strip()
        if len(raw) > self.most or not self.least <= len(text) <= self.most:
            raise ma.ValidationError(f"length: Must have {self.least} to {self.most} characters.")
        return text


class Name(Text):
    """The name of a person or thing: without hidden characters and without a web or email address,
    and not the one that is reserved.
    ``domains``: whether it may contain a bare domain, as names of companies do."""

    def __init__(self, *, domains: bool = True, **kwargs: Any) -> None:
        self.domains = domains
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if names.has_hidden(text):
            raise ma.ValidationError(
                "characters: Leave out characters that cannot be seen or that change the direction."
            )
        if names.is_reserved(text):
            raise ma.ValidationError(f"reserved: {names.RESERVED}")
        if names.has_link(text, domains=not self.domains):
            raise ma.ValidationError("link: Leave out web and email addresses.")
        return text


class Email(Text):
    """An email address, normalized; whether it exists is not checked."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(most=email_addresses.MAX_LENGTH, metadata={"format": "email"}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return email_addresses.parse(text)
        except ValueError as problem:
            raise ma.ValidationError(
                "email: Enter an email address such as name@example.com."
            ) from problem


class TypeId(ma.fields.String):
    """An id of one kind, as named by its prefix."""

    def __init__(self, prefix: str, **kwargs: Any) -> None:
        self.prefix = prefix
        kwargs["metadata"] = {
            "pattern": f"^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$",
            **kwargs.get("metadata", {}),
        }
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = str(super()._deserialize(value, attr, data, **kwargs))
        if not ids.is_id(self.prefix, text):
            raise ma.ValidationError(f"id: Must be an id that starts with {self.prefix}_.")
        return text


class Flag(ma.fields.Boolean):
    """Exactly true or false, not the strings and numbers that marshmallow also accepts."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Stamp(ma.fields.String):
    """An instant in UTC: microseconds and Z in responses, any offset in requests."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs["metadata"] = {"format": "date-time", **kwargs.get("metadata", {})}
        super().__init__(**kwargs)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return clock.stamp(value) if isinstance(value, datetime) else value

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = str(super()._deserialize(value, attr, data, **kwargs))
        instant = _instant(text)
        if instant is None:
            raise ma.ValidationError("instant: Must be an instant like 2026-01-31T09:00:00Z.")
        return instant.astimezone(UTC)


class ErrorItem(ma.Schema):
    """What is wrong with one field."""

    pointer = ma.fields.String(required=True)
    code = ma.fields.String(required=True)
    detail = ma.fields.String(required=True)


def _instant(text: str) -> datetime | None:
    if not _SHORTEST_INSTANT <= len(text) <= _LONGEST_INSTANT:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo is not None and 1 < instant.year < 9999 else None
