"""The registry of services, ``deploy/services.toml``."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from chassis.runtime.service import Service

FILE = Path(__file__).parents[2] / "services.toml"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A service, as the registry describes it."""

    name: str
    application: str
    database: bool = False
    messages: bool = False
    queues: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    mailed: tuple[str, ...] = ()
    large: tuple[str, ...] = ()


@cache
def entries() -> dict[str, Entry]:
    """Every service, by name."""
    return {name: _entry(name, fields) for name, fields in tomllib.loads(FILE.read_text()).items()}


def with_database() -> list[str]:
    """The services with a database of their own."""
    return [entry.name for entry in entries().values() if entry.database]


def callers() -> list[str]:
    """Who calls another service's /internal/*, and so has a secret for it."""
    return sorted({caller for entry in entries().values() for caller in entry.callers})


@cache
def services() -> tuple[Service, ...]:
    """The services that publish and consume messages, imported."""
    return tuple(
        import_module(entry.application).SERVICE for entry in entries().values() if entry.messages
    )


def _entry(name: str, fields: dict[str, Any]) -> Entry:
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()
    }
    return Entry(name=name, **values)
