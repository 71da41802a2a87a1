"""Whom we ask: the mail server, or a directory in its place."""

from membership.clients.mail_templates import compose
from membership.clients.mail_transport import post

__all__ = ["compose", "post"]
