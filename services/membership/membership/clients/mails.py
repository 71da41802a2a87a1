"""Builds the messages to send."""

from email import policy
from email.message import EmailMessage
from email.utils import formataddr, formatdate, make_msgid, parseaddr

from chassis import email_addresses, names

from membership.clients.mail_templates import OWN, SUBJECTS, TEXTS
from membership.values.lifetimes import RESET, RESET_CODES, STOP_TRANSFER, UNDO
from membership.values.mails import OutgoingMail

_NAMES = ("organization", "other", "by", "key", "authenticator")


_PATHS = {RESET: "reset", UNDO: "undo", STOP_TRANSFER: "undo", RESET_CODES: "reset-codes"}


def compose(mail: OutgoingMail, *, public_url: str, sender: str) -> EmailMessage:
    """The message with its text, and its link if it has one."""
    path = _PATHS.get(mail.purpose, "verify")
    what = "choose your password"
    if mail.has_password:
        what = "join with your existing password"
    details = {**mail.details, "organization": mail.organization}
    values = {
        **details,
        **{key: names.in_mail(details[key]) for key in _NAMES if key in details},
        "greeting": f"Hello {names.in_mail(mail.given_name)}," if mail.given_name else "Hello,",
        "link": f"{public_url.rstrip('/')}/{path}/{mail.token}",
        "what": what,
    }
    texts = mail.purpose if mail.organization else OWN.get(mail.purpose, mail.purpose)
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = _in_ascii(sender)
    message["To"] = email_addresses.in_headers(mail.to)
    message["Subject"] = " ".join(SUBJECTS[texts].format(**values).split())
    message["Date"] = formatdate(localtime=False)
    message["Message-ID"] = make_msgid(domain="clientele.invalid")
    message["Auto-Submitted"] = "auto-generated"
    text = TEXTS[texts].format(**values)
    if (name := values["organization"]).endswith("."):  # no second one at the end of a sentence
        text = text.replace(f"{name}.", name)
    # No quoted-printable, so that links stay whole in the source.
    message.set_content(text, cte="7bit" if text.isascii() else "8bit")
    return message


def _in_ascii(sender: str) -> str:
    """The sender, which may have a name, with the domain of the address in ASCII."""
    name, address = parseaddr(sender)
    if address.isascii():
        return sender
    return formataddr((name, email_addresses.in_headers(address)))
