"""Settings: one frozen dataclass per service, filled from the environment; everything missing is
named at once."""

import dataclasses
from typing import Any, TypeVar, get_type_hints

from environs import EnvError, EnvValidationError, FileAwareEnv

S = TypeVar("S")


class Secret(str):
    """Text that never prints itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(***)"


class Misconfigured(Exception):
    """The environment lacks something, or has it in a shape that can't be read."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """What every service with data needs. Each role reads the same settings and uses its own part.

    ``internal_secret``: our own password when we ask others' ``/internal/*``; ``internal_callers``: who may ask ours,
    as ``name=sha256hex,…``; ``health_port``: where roles without a web door answer, 0 for nowhere."""

    database_url: Secret
    broker_url: Secret = Secret("")
    internal_secret: Secret = Secret("")
    internal_callers: str = ""
    host: str = "0.0.0.0"  # noqa: S104 - inside its container; the network decides who reaches it
    port: int = 8000
    health_port: int = 0
    web_workers: int = 2
    web_threads: int = 8
    log_level: str = "INFO"


def load(cls: type[S]) -> S:
    """An instance of the dataclass; each field ``some_name`` is read from ``SOME_NAME`` or from the file that
    ``SOME_NAME_FILE`` names. Raises Misconfigured naming every variable that is missing or wrong."""
    env = FileAwareEnv(eager=False)
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        name = field.name.upper()
        given = {} if field.default is dataclasses.MISSING else {"default": field.default}
        readers: dict[Any, Any] = {int: env.int, bool: env.bool, float: env.float}
        read = readers.get(hints[field.name], env.str)
        value = read(name, **given)
        if isinstance(value, str):  # a file ends in a newline
            value = (Secret if hints[field.name] is Secret else str)(value.rstrip("\r\n"))
        values[field.name] = value
    try:
        env.seal()
    except EnvValidationError as problem:
        wrong: Any = problem.error_messages
        lines = [f"  {name}: {' '.join(map(str, why))}" for name, why in sorted(wrong.items())]
        raise Misconfigured("settings are missing or wrong:\n" + "\n".join(lines)) from None
    return cls(**values)


def read(name: str) -> Secret:
    """One required variable, from ``NAME`` or the file that ``NAME_FILE`` names. Raises
    Misconfigured."""
    try:
        return Secret(FileAwareEnv().str(name).rstrip("\r\n"))
    except EnvError as problem:
        raise Misconfigured(str(problem)) from None
