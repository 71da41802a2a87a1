"""The HTTP endpoints."""

from membership.views import (
    internal,
    keys,
    links,
    me,
    member_logins,
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
    member_logins.blp,
    pins.blp,
    transfers.blp,
    support.blp,
    internal.blp,
)
