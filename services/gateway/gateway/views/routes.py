"""Which path belongs to which service. Nothing else is forwarded."""

import re
from dataclasses import dataclass

from chassis.http import body_limits

_O = "/v1/organizations/{id}"

# The path or its beginning, up to a whole segment -> the service. The longer one decides.
TABLE = {
    "/v1/organizations": "org",
    "/v1/settings": "org",
    f"{_O}/account": "billing",
    f"{_O}/invoices": "billing",
    f"{_O}/payments": "billing",
    f"{_O}/closing-statement": "billing",
    "/v1/usage": "billing",
    "/v1/ledger": "billing",
    "/v1/wallet": "billing",
    f"{_O}/members": "membership",
    f"{_O}/ownership-transfers": "membership",
    f"{_O}/remote-support": "membership",
    "/v1/remote-support": "membership",
    "/v1/sessions": "membership",
    "/v1/me": "membership",
    "/v1/verifications": "membership",
    "/v1/password-resets": "membership",
    "/v1/api-keys": "membership",
    "/v1/pins": "membership",
    "/.well-known/jwks.json": "membership",
}
PAGES = "pages"
OWN = {"/healthz", "/readyz", "/v1/openapi.json"}

# Open to everybody: everything below a path, or one method of exactly one path.
_OPEN = {"/v1/verifications", "/v1/password-resets", "/.well-known/jwks.json"}
_OPEN_CALLS = {("POST", "/v1/sessions"), ("POST", "/v1/sessions/refresh")}
# Their paths hold secrets that were mailed.
_MAILED = {"/v1/verifications", "/v1/password-resets"}

# What is under these is never a page.
_NO_PAGES = ("/v1", "/internal", "/.well-known")

# No percent sign, no empty segment, none that begins with a dot: one spelling for each path.
_CANONICAL = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)+|/\.well-known/jwks\.json")


@dataclass(frozen=True)
class Route:
    """A line of the table."""

    pattern: str
    service: str

    @property
    def is_pages(self) -> bool:
        """Whether people look at it: the console decides who they are."""
        return self.pattern == PAGES

    @property
    def is_mailed(self) -> bool:
        """Whether the path holds a secret and must not be logged."""
        return self.pattern in _MAILED

    @property
    def body_limit(self) -> int:
        """How many bytes a body may have."""
        return body_limits.BULK if self.pattern == "/v1/usage" else body_limits.DEFAULT

    def is_open(self, method: str, path: str) -> bool:
        """Whether the call needs no token."""
        return self.pattern in _OPEN or (method, path) in _OPEN_CALLS


_PAGES = Route(PAGES, "console")
_ROUTES = {pattern: Route(pattern, service) for pattern, service in TABLE.items()}


def find(path: str) -> Route | None:
    """The line for a path as it came over the wire, still encoded; None for everything we do not
    know."""
    if path == "/":
        return _PAGES
    if len(path) > 2048 or not _CANONICAL.fullmatch(path):
        return None
    if not any(path == one or path.startswith(f"{one}/") for one in _NO_PAGES):
        return _PAGES
    parts = path.split("/")
    if len(parts) > 4 and (route := _ROUTES.get(f"/{parts[1]}/{parts[2]}/{{id}}/{parts[4]}")):
        return route
    return _ROUTES.get("/".join(parts[:3]))
