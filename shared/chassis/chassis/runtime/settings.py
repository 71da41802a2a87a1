"""Settings: a frozen dataclass per service, read from the environment. All problems are reported
together."""

import dataclasses
from typing import Any, Self, TypeVar, get_type_hints

from environs import EnvError, EnvValidationError, FileAwareEnv

S = TypeVar("S")
MASK = "***"


class Secret(str):
    """A string that hides its value when it is printed, formatted or logged.

    It is still the string that it holds: comparing, encoding, splitting and concatenating use the
    value, ``str()``, ``repr()`` and f-strings do not."""

    __slots__ = ()

    def __new__(cls, value: str = "") -> Self:
        return super().__new__(cls, str.__str__(value))

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return MASK

    def __format__(self, _spec: str) -> str:
        return MASK


class Misconfigured(Exception):
    """Settings are missing or cannot be read."""


def needed_by(*roles: str, default: Any = dataclasses.MISSING) -> Any:
    """A field that is read in these roles. In any other it is empty, even where it is set, so that
    no role holds a secret it does not use."""
    return dataclasses.field(default=default, metadata={"roles": roles})


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """The settings of every service with a database.

    ``database_direct_url``: the same database as ``database_url`` where that leads to a connection
    pooler, past it, for notifications;
    ``internal_secret``: this service's password for ``/internal/*`` of other services;
    ``internal_callers``: the services that may call its own, as ``name=sha256hex,…``;
    ``health_port``: the port of the health endpoints of roles other than web, 0 for none;
    ``readiness_file``: where a process notes that it is ready, for the health check of its
    container, empty for nowhere;
    ``tls_certificate``: the file with certificate and private key with which the role web serves
    https; ``tls_authorities``: the file with the authorities that certify the services that it
    calls by https."""

    database_url: Secret
    database_direct_url: Secret = needed_by("relay", "tick", default=Secret(""))
    broker_url: Secret = needed_by("listen", "relay", default=Secret(""))
    internal_secret: Secret = needed_by("web", default=Secret(""))
    internal_callers: str = needed_by("web", default="")
    host: str = "0.0.0.0"  # noqa: S104 - inside its container; the network decides who reaches it
    port: int = 8000
    health_port: int = 0
    readiness_file: str = ""
    tls_certificate: str = ""
    tls_authorities: str = ""
    web_workers: int = 2
    web_threads: int = 8
    log_level: str = "INFO"


def load(cls: type[S], role: str = "") -> S:
    """An instance of the dataclass. Each field ``some_name`` is read from ``SOME_NAME`` or from the
    file that ``SOME_NAME_FILE`` names. ``role``: what only other roles need is left empty.

    Raises Misconfigured, which names every variable that is missing or wrong."""
    env = FileAwareEnv(eager=False)
    hints = get_type_hints(cls)
    values = {
        field.name: _value(env, field, hints[field.name])
        if not role or role in field.metadata.get("roles", (role,))
        else hints[field.name]()
        for field in dataclasses.fields(cls)  # type: ignore[arg-type]
    }
    try:
        env.seal()
    except EnvValidationError as problem:
        wrong: Any = problem.error_messages
        lines = [f"  {name}: {' '.join(map(str, why))}" for name, why in sorted(wrong.items())]
        raise Misconfigured("settings are missing or wrong:\n" + "\n".join(lines)) from None
    return cls(**values)


def read(name: str) -> str:
    """A required variable, from ``NAME`` or the file that ``NAME_FILE`` names. Raises
    Misconfigured."""
    try:
        return FileAwareEnv().str(name).rstrip("\r\n")
    except EnvError as problem:
        raise Misconfigured(str(problem)) from None


def read_secret(name: str) -> Secret:
    """A required variable that hides its value. Raises Misconfigured."""
    return Secret(read(name))


def _value(env: FileAwareEnv, field: dataclasses.Field[Any], kind: Any) -> Any:
    readers: dict[Any, Any] = {int: env.int, bool: env.bool, float: env.float}
    reader = readers.get(kind, env.str)
    name = field.name.upper()
    if field.default is dataclasses.MISSING:
        value = reader(name)
    else:
        value = reader(name, default=field.default)
    if not isinstance(value, str):
        return value
    text = value.rstrip("\r\n")  # a file ends in a newline
    return Secret(text) if kind is Secret else text
