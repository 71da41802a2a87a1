"""The mail server, or a directory in its place."""

from membership.clients.mail_transport import post
from membership.clients.mails import compose

__all__ = ["compose", "post"]
