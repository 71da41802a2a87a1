"""Letters in words, as mails."""

from email import policy
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from membership.values import addresses
from membership.values.lifetimes import INVITATION, RESET, UNDO
from membership.values.mails import (
    CODES_OFF,
    CODES_ON,
    CREDITS_LOW,
    KEY_MADE,
    OWNERSHIP_GIVEN,
    OWNERSHIP_OFFERED,
    OWNERSHIP_TAKEN,
    PASSWORD_CHANGED,
    RECOVERY_CODE_USED,
    RENEWAL_ASKED,
    SUPPORT_ENDING,
    SUPPORT_RECEIPT,
    SUPPORT_REQUESTED,
    TOP_UP_WANTED,
    Letter,
)

_SUBJECTS = {
    PASSWORD_CHANGED: "Your password was changed",
    CODES_ON: "One-time codes are switched on for your login",
    CODES_OFF: "One-time codes are switched off for your login",
    RECOVERY_CODE_USED: "A recovery code of yours was used",
    INVITATION: "You are invited to {organization}",
    RESET: "Choose a new password",
    "verification": "Confirm your e-mail address for {organization}",
    UNDO: "The e-mail address of your login at {organization} was changed",
    RENEWAL_ASKED: "Somebody asks for a new invitation to {organization}",
    KEY_MADE: "An API key was made for {organization}",
    CREDITS_LOW: "The credits of {organization} are running low",
    TOP_UP_WANTED: "{organization} needs a top-up",
    OWNERSHIP_OFFERED: "You are offered the ownership of {organization}",
    OWNERSHIP_GIVEN: "You are the owner of {organization} now",
    OWNERSHIP_TAKEN: "The owner of {organization} has changed",
    SUPPORT_REQUESTED: "Support asks to enter {organization}",
    SUPPORT_ENDING: "Support's leave to enter {organization} ends tomorrow",
    SUPPORT_RECEIPT: "Support was in {organization}",
}
_TEXTS = {
    PASSWORD_CHANGED: """Hello {name},

the password of your login at {organization} was changed, and whoever was signed in by it is out, but for the one
who changed it. If that was not you, choose a new password at once: ask for a link where you sign in.
""",
    CODES_ON: """Hello {name},

your login at {organization} asks for one-time codes now. Keep the recovery codes in a safe place: each stands for a
one-time code once. If it was not you, ask your organization's owner or your provider for help.
""",
    CODES_OFF: """Hello {name},

your login at {organization} does not ask for one-time codes any more. If it was not you, choose a new password and
switch them on again.
""",
    RECOVERY_CODE_USED: """Hello {name},

a recovery code was used in place of a one-time code to sign in at {organization}; you have {left} left. If it was not
you, choose a new password at once, then switch one-time codes off and on again: that makes new recovery codes.
""",
    INVITATION: """Hello {name},

{organization} has invited you. Open this link to {what}:

{link}

The link is good for 7 days and can be used once. As soon as a newer mail like this one is sent to you, only
the link in that one works. If you do not know {organization}, you can ignore this mail.
""",
    "verification": """Hello {name},

{organization} has noted this as your new e-mail address. Open this link to confirm it:

{link}

The link is good for 24 hours and can be used once. If you did not expect this mail, you can ignore it.
""",
    UNDO: """Hello {name},

this was the e-mail address of your login at {organization} until now. It was changed to another one.

If you expected that, you need not do anything. If you did not, open this link to take the login back:

{link}

The link is good for 7 days from the change and can be used once. Choose a new password afterwards: somebody may know
yours.
""",
    RENEWAL_ASKED: """Hello {name},

{other} ({address}) would like to join {organization}, but the link in their invitation is no good any more. They ask
you for a new one.

To send it, open the list of members of {organization} and resend their invitation. If you do not want them to join,
remove them there.
""",
    RESET: """Hello {name},

somebody, hopefully you, asked for a new password. Open this link to choose one:

{link}

The link is good for 30 minutes and can be used once. If it was not you, ignore this mail: nothing has changed.
""",
    KEY_MADE: """Hello {name},

{by} has made an API key for {organization}: {key}. A program that has it may act for your organization, as
far as these scopes go: {scopes}.

If you do not know what it is for, delete it in the list of API keys; it is dead at once then.
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
    OWNERSHIP_OFFERED: """Hello {name},

{other} offers you the ownership of {organization}. Sign in within 72 hours to accept it; if you do nothing,
everything stays as it is.
""",
    OWNERSHIP_GIVEN: """Hello {name},

you are the owner of {organization} now, in the place of {other}. What was assigned to {other} stays with
{other}: please look through it, and through the address for bills, the stored card and the automatic top-up.
""",
    OWNERSHIP_TAKEN: """Hello {name},

{other} is the owner of {organization} now, in your place. What was assigned to you stays with you. If you did not
expect this, ask {other} or your provider: what the provider has changed can be undone for 72 hours.
""",
    SUPPORT_REQUESTED: """Hello {name},

your provider's support asks to enter {organization}, with {access} access, for {lasting}, because:

    {reason}

Sign in to consent or to refuse. If you do nothing, the request ends on {until}.
""",
    SUPPORT_ENDING: """Hello {name},

your provider's support may enter {organization} until {until}; it was for this reason:

    {reason}

It is not prolonged by itself. If it should end earlier, sign in and end it.
""",
    SUPPORT_RECEIPT: """Hello {name},

your provider's support was in {organization} {how}, from {began} to {ended} ({lasting}), for this reason:

    {reason}

It ended because {why}. What was changed (UTC; before -> after):

{changes}
""",
}


def compose(letter: Letter, *, public_url: str, sender: str) -> EmailMessage:
    """The letter as a mail, with its link or its figures."""
    path = letter.purpose if letter.purpose in (RESET, UNDO) else "verify"
    organization = " ".join(letter.organization.split())
    filled = {
        **letter.figures,
        "name": letter.given_name or "there",
        "organization": organization,
        "link": f"{public_url.rstrip('/')}/{path}/{letter.token}",
        "what": "join with the password you already have"
        if letter.has_password
        else "choose your password",
    }
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = sender
    message["To"] = addresses.for_transport(letter.to)
    message["Subject"] = _SUBJECTS[letter.purpose].format(**filled)
    message["Date"] = formatdate(localtime=False)
    message["Message-ID"] = make_msgid(domain="clientele.invalid")
    message["Auto-Submitted"] = "auto-generated"
    text = _TEXTS[letter.purpose].format(**filled)
    message.set_content(
        text, cte="7bit" if text.isascii() else "8bit"
    )  # links stay whole, whoever reads the source
    return message
