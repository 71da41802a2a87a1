"""Letters in words, as mails."""

from email import policy
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from membership.values import addresses
from membership.values.letters import CREDITS_LOW, TOP_UP_WANTED, Letter
from membership.values.lifetimes import INVITATION, RESET

_SUBJECTS = {
    INVITATION: "You are invited to {organization}",
    RESET: "Choose a new password",
    "verification": "Confirm your e-mail address for {organization}",
    CREDITS_LOW: "The credits of {organization} are running low",
    TOP_UP_WANTED: "{organization} needs a top-up",
}
_TEXTS = {
    INVITATION: """Hello {name},

{organization} has invited you. Open this link to {what}:

{link}

The link is good for 7 days and can be used once. If a newer mail like this one reaches you, use the link
in that one. If you do not know {organization}, you can ignore this mail.
""",
    "verification": """Hello {name},

{organization} has noted this as your new e-mail address. Open this link to confirm it:

{link}

The link is good for 24 hours and can be used once. If you did not expect this mail, you can ignore it.
""",
    RESET: """Hello {name},

somebody, hopefully you, asked for a new password. Open this link to choose one:

{link}

The link is good for 30 minutes and can be used once. If it was not you, ignore this mail: nothing has changed.
""",
    CREDITS_LOW: """Hello,

the usable credits of {organization} have come down to {usable_credits} {currency}. You get this mail when they
reach {threshold} {currency} or less.

Please top up before they are used up: then nothing more can be bought or used. If you have done so by now, you can
ignore this mail.
""",
    TOP_UP_WANTED: """Hello,

the usable credits of {organization} have come down to {usable_credits} {currency}, and it is to be topped up
automatically from there.

Please pay {amount} {currency} by {method}. If you have done so by now, you can ignore this mail.
""",
}


def compose(letter: Letter, *, public_url: str, sender: str) -> EmailMessage:
    """The letter as a mail, with its link or its figures."""
    path = "reset" if letter.purpose == RESET else "verify"
    organization = " ".join(letter.organization.split())
    filled = {
        **letter.figures,
        "name": letter.given_name or "there", "organization": organization,
        "link": f"{public_url.rstrip('/')}/{path}/{letter.token}",
        "what": "join with the password you already have" if letter.has_password else "choose your password",
    }
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = sender
    message["To"] = addresses.for_transport(letter.to)
    message["Subject"] = _SUBJECTS[letter.purpose].format(**filled)
    message["Date"] = formatdate(localtime=False)
    message["Message-ID"] = make_msgid(domain="clientele.invalid")
    message["Auto-Submitted"] = "auto-generated"
    text = _TEXTS[letter.purpose].format(**filled)
    message.set_content(text, cte="7bit" if text.isascii() else "8bit")  # links stay whole, whoever reads the source
    return message
