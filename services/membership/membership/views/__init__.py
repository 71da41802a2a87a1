"""The HTTP door."""

from membership.views import inner, links, me, members, sessions

BLUEPRINTS = (sessions.blp, me.blp, links.blp, members.blp, inner.blp)
