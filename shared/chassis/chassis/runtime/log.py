"""Logs: one JSON line per event, with the service, the role and the bound context (request id,
message id)."""

import logging
import sys
from typing import Any

import structlog

from chassis.runtime.settings import MASK, Misconfigured, Secret


def mask_secrets(_logger: Any, _name: str, event: Any) -> Any:
    """A processor that hides secrets, also those inside dicts and lists."""
    return _masked(event)


def _masked(value: Any) -> Any:
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, dict):
        return {key: _masked(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_masked(member) for member in value]
    if isinstance(value, tuple):  # also the exc_info of a record, which must stay a tuple
        return tuple(_masked(member) for member in value)
    return value


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    mask_secrets,
]
# One list, changed in place: a logger keeps the one it was first used with.
_PROCESSORS: list[Any] = []


def start(level: str = "INFO", **always: str) -> None:
    """Send structlog's and the standard library's records from this level on to stderr as JSON.
    ``always`` is added to every line. Raises Misconfigured for an unknown level."""
    if level.upper() not in logging.getLevelNamesMapping():
        raise Misconfigured("LOG_LEVEL must be DEBUG, INFO, WARNING, ERROR or CRITICAL")

    def add_always(_logger: Any, _name: str, event: Any) -> Any:
        return {**always, **event}

    _PROCESSORS[:] = [
        structlog.stdlib.filter_by_level,  # first: what is not logged costs nothing more
        *_SHARED,
        add_always,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ]
    structlog.configure(
        processors=_PROCESSORS,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, add_always],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("alembic", "amqp", "kombu", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def get(name: str) -> structlog.stdlib.BoundLogger:
    """A logger; ``log.info("event.name", key=value)``."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
