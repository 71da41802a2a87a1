"""Whom we ask: the mail server, or a directory in its place."""

from membership.clients.letters import compose
from membership.clients.transport import post

__all__ = ["compose", "post"]
