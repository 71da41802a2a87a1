"""How a field of an organization is declared: once, at its column.

PATCH, ETag, the permission checks of single fields, the changes in the audit, responses, messages
and erasure follow from the declaration.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column
from sqlalchemy.orm import mapped_column

_DECLARED, _PART_OF = "declared", "part_of"


@dataclass(frozen=True)
class Field:
    """A field of the API and the columns that hold it.

    ``patchable``: can be changed by PATCH, and so is part of the ETag and of the changes in the
    audit. ``at_creation``: can be chosen when a customer is created, if it is patchable. ``fixed``:
    chosen at creation; PATCH refuses it as immutable. ``published``: part of
    ``org.organization_changed.v1``. ``personal``: erased with the organization. ``operation``: what
    the caller must be permitted besides ``organization.change``, or value -> operation; of a field
    with parts, part -> operation.
    """

    name: str
    columns: tuple[Column[Any], ...]
    patchable: bool = False
    at_creation: bool = True
    fixed: bool = False
    published: bool = False
    personal: bool = False
    operation: str | Mapping[str, str] = ""

    def operation_for(self, value: Any) -> str:
        """The operation that this value needs; empty if ``organization.change`` is enough."""
        if isinstance(self.operation, str):
            return self.operation
        given = value if isinstance(value, Mapping) else (value,)
        return next((self.operation[part] for part in given if part in self.operation), "")

    @property
    def operations(self) -> set[str]:
        """All the operations that setting this field can need."""
        if isinstance(self.operation, str):
            return {self.operation} - {""}
        return set(self.operation.values())


def column(
    type_: Any,
    *,
    part_of: str = "",
    primary_key: bool = False,
    server_default: Any = None,
    **declared: Any,
) -> Any:
    """A mapped column with the declaration of its field; ``declared`` are attributes of ``Field``.

    ``part_of``: the field that this column is a part of, where several columns make up one."""
    info = {_DECLARED: declared, _PART_OF: part_of}
    return mapped_column(type_, primary_key=primary_key, server_default=server_default, info=info)


def declared_fields(table_columns: Iterable[Any]) -> dict[str, Field]:
    """The fields that the columns declare, in their order."""
    columns: dict[str, list[Column[Any]]] = {}
    for part in table_columns:
        if _DECLARED in part.info:
            columns.setdefault(part.info[_PART_OF] or part.key, []).append(part)
    return {
        name: Field(name, tuple(parts), **parts[0].info[_DECLARED])
        for name, parts in columns.items()
    }
