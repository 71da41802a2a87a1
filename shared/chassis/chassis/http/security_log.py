"""What is refused for the sake of security, in the log under stable names."""

from chassis.auth.access import NoSuchOrganization
from chassis.errors import Failure, Forbidden, TooMany, Unauthenticated
from chassis.runtime import log

_LOG = log.get("security")
# An organization that does not exist for the caller is, in most cases, another tenant's.
_EVENTS: dict[type[Failure], str] = {
    Unauthenticated: "security.unauthenticated",
    Forbidden: "security.forbidden",
    TooMany: "security.throttled",
    NoSuchOrganization: "security.foreign_organization",
}


def note(refusal: Failure, **where: str | None) -> None:
    """Log the refusal if it is one of these, with its code and what is known of the request."""
    for kind, event in _EVENTS.items():
        if isinstance(refusal, kind):
            known = {name: value for name, value in where.items() if value}
            _LOG.info(event, code=refusal.code, **known)
