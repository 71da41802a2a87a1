"""Field types that every door uses."""

import unicodedata
from datetime import UTC, datetime
from typing import Any

import marshmallow as ma

from chassis.runtime import clock, ids


class Text(ma.fields.String):
    """Text: NFC, trimmed, no control characters (but newlines where ``lines``), ``least`` to
    ``most`` characters."""

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
        text = unicodedata.normalize("NFC", str(super()._deserialize(value, attr, data, **kwargs)))
        allowed = "\n\t" if self.lines else ""
        if any(unicodedata.category(c) in ("Cc", "Cs") and c not in allowed for c in text):
            raise ma.ValidationError("control_character: Control characters are not allowed.")
        text = text.strip()
        if not self.least <= len(text) <= self.most:
            raise ma.ValidationError(f"length: Must have {self.least} to {self.most} characters.")
        return text


class TypeId(ma.fields.String):
    """An id of one kind."""

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
            raise ma.ValidationError(f"id: Must be an id that begins with {self.prefix}_.")
        return text


class Flag(ma.fields.Boolean):
    """JSON's true or false; nothing that merely resembles them."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Stamp(ma.fields.String):
    """An instant, UTC, with microseconds and Z."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs["metadata"] = {"format": "date-time", **kwargs.get("metadata", {})}
        super().__init__(**kwargs)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return clock.stamp(value) if isinstance(value, datetime) else value

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = str(super()._deserialize(value, attr, data, **kwargs))
        try:
            at = datetime.fromisoformat(text)
            outside = not 1 < at.year < 9999
        except ValueError:
            at, outside = None, True
        if at is None or outside or at.tzinfo is None or len(text) < 17:
            raise ma.ValidationError("instant: Must be an instant like 2026-01-31T09:00:00Z.")
        return at.astimezone(UTC)
