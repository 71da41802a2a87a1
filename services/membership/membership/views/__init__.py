"""The HTTP door."""

from membership.views import (
    inner,
    keys,
    links,
    me,
    members,
    pins,
    proofs,
    sessions,
    support,
    transfers,
)

BLUEPRINTS = (
    sessions.blp,
    me.blp,
    proofs.blp,
    links.blp,
    keys.blp,
    members.blp,
    pins.blp,
    transfers.blp,
    support.blp,
    inner.blp,
)
