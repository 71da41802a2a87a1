"""The HTTP endpoints."""

from membership.views import (
    internal,
    keys,
    links,
    me,
    members,
    pins,
    security,
    sessions,
    support,
    transfers,
)

BLUEPRINTS = (
    sessions.blp,
    me.blp,
    security.blp,
    links.blp,
    keys.blp,
    members.blp,
    pins.blp,
    transfers.blp,
    support.blp,
    internal.blp,
)
