"""The subjects and texts of emails, by purpose."""

from membership.values.lifetimes import (
    INVITATION,
    RESET,
    RESET_CODES,
    STOP_TRANSFER,
    UNDO,
    VERIFICATION,
)
from membership.values.mails import (
    ADMIN_ADDED,
    AUTHENTICATOR_ADDED,
    AUTHENTICATOR_REMOVED,
    CHANGE_UNDONE,
    CODES_OFF,
    CODES_ON,
    CODES_RESET,
    CODES_RESET_BY,
    CREDITS_LOW,
    KEY_CREATED,
    KEYS_ORPHANED,
    KEYS_SUSPENDED,
    NO_CODES,
    OWN_CODES,
    OWNERSHIP_GIVEN,
    OWNERSHIP_OFFERED,
    OWNERSHIP_TAKEN,
    PASSWORD_CHANGED,
    RECOVERY_CODE_USED,
    RECOVERY_CODES_RENEWED,
    RENEWAL_REQUESTED,
    SESSIONS_ENDED,
    SUPPORT_ENDING,
    SUPPORT_RECEIPT,
    SUPPORT_REQUESTED,
    TOP_UP_DUE,
)

OWN_VERIFICATION, OWN_UNDO = "own_verification", "own_undo"
# The same without an organization: the person changes their own address.
OWN = {VERIFICATION: OWN_VERIFICATION, UNDO: OWN_UNDO}

SUBJECTS = {
    PASSWORD_CHANGED: "Your password was changed",
    CODES_ON: "One-time codes are now on for your login",
    CODES_OFF: "One-time codes are now off for your login",
    CODES_RESET: "One-time codes of your login were reset",
    CODES_RESET_BY: "One-time codes of your login were reset",
    NO_CODES: "Someone asked to reset the one-time codes of your login",
    OWN_CODES: "The one-time codes of your login are still on",
    RESET_CODES: "Turn off the one-time codes of your login",
    AUTHENTICATOR_ADDED: "An authenticator was added to your login",
    AUTHENTICATOR_REMOVED: "An authenticator was removed from your login",
    RECOVERY_CODES_RENEWED: "You have new recovery codes",
    RECOVERY_CODE_USED: "A recovery code was used to sign in to your account",
    SESSIONS_ENDED: "Your sessions at {organization} were ended",
    INVITATION: "You're invited to join {organization}",
    RESET: "Reset your password",
    VERIFICATION: "Confirm your email address for {organization}",
    UNDO: "The email address of your login at {organization} is being changed",
    OWN_VERIFICATION: "Confirm your new email address",
    OWN_UNDO: "The email address of your login is being changed",
    CHANGE_UNDONE: "The email address of {other} at {organization} was changed back",
    STOP_TRANSFER: "{organization} gets a new owner in 72 hours",
    RENEWAL_REQUESTED: "{other} needs a new invitation to {organization}",
    ADMIN_ADDED: "{organization} has a new admin",
    KEY_CREATED: "A new API key was created for {organization}",
    KEYS_SUSPENDED: "API keys of {organization} are suspended",
    KEYS_ORPHANED: "API keys of {organization} will be suspended on {until}",
    CREDITS_LOW: "{organization} is running low on credits",
    TOP_UP_DUE: "Payment due: automatic top-up for {organization}",
    OWNERSHIP_OFFERED: "You've been offered ownership of {organization}",
    OWNERSHIP_GIVEN: "You're now the owner of {organization}",
    OWNERSHIP_TAKEN: "{organization} has a new owner",
    SUPPORT_REQUESTED: "Support requests access to {organization}",
    SUPPORT_ENDING: "Support access to {organization} ends tomorrow",
    SUPPORT_RECEIPT: "What support did in {organization}",
}

TEXTS = {
    PASSWORD_CHANGED: """{greeting}

The password of your login at {organization} was changed. Everyone who was signed in with the
old password has been signed out, except for the person who changed it.

If you changed it, there is nothing to do.

If you did not, someone else may have access to your login. Reset your password now from the
sign-in page, and tell the owner of your organization.
""",
    CODES_ON: """{greeting}

From now on, signing in at {organization} requires a one-time code from your authenticator app.

Keep your recovery codes in a safe place. If you lose your phone, each of them replaces a
one-time code once.

If you did not turn this on, contact the owner of your organization or your provider.
""",
    CODES_OFF: """{greeting}

Signing in at {organization} no longer requires a one-time code.

If you did not turn this off, change your password now and turn one-time codes on again.
""",
    CODES_RESET: """{greeting}

The operator of this system turned off the one-time codes of your login at {organization}, because
somebody reported your authenticator as lost. Your sessions have ended. Sign in with your password
and turn one-time codes on again; if your password is not accepted, reset it.

If you did not ask for this, tell the owner of {organization} immediately.
""",
    CODES_RESET_BY: """{greeting}

{by} turned off the one-time codes of your login at {organization}, because somebody reported your
authenticator as lost. Your sessions have ended. Sign in with your password and turn one-time codes
on again; if your password is not accepted, reset it.

If you did not ask for this, reset your password now, and tell the owner of {organization}.
""",
    NO_CODES: """{greeting}

{by} asked to turn off the one-time codes of your login at {organization}, because somebody reported
your authenticator as lost. They are not on, so nothing has changed.

If you did not ask for this, tell the owner of {organization}.
""",
    OWN_CODES: """{greeting}

Someone who is signed in as you asked at {organization} to reset your one-time codes.
Your codes are still on, because nobody can reset their own. If you have lost your authenticator,
enter a recovery code in place of a one-time code, or ask the owner or another admin of
{organization} to reset your codes.

If this was not you, end your other sessions and change your password now, on the Security page.
""",
    RESET_CODES: """{greeting}

{by} wants to turn off the one-time codes of your login, because somebody reported your
authenticator as lost to {organization}. If it was you, open this link and enter your password:

{link}

The link expires in 24 hours and can be used once. It stops working if you change your password
first. Until you use it, nothing changes.

If you did not ask for this, do not use the link, and tell the owner of {organization}.
""",
    AUTHENTICATOR_ADDED: """{greeting}

The authenticator "{authenticator}" was added to your login at {organization}. From now on you can
sign in with its one-time codes too. Your recovery codes stay the same.

If you did not add it, remove it on the Security page now, then change your password.
""",
    AUTHENTICATOR_REMOVED: """{greeting}

The authenticator "{authenticator}" was removed from your login at {organization}. Its one-time
codes no longer work, and all your other sessions have ended.

If you did not remove it, change your password now and check your authenticators on the Security
page.
""",
    RECOVERY_CODES_RENEWED: """{greeting}

New recovery codes were created for your login at {organization}. The previous ones no longer work.

If this was not you, change your password now, then turn one-time codes off and on again.
""",
    RECOVERY_CODE_USED: """{greeting}

Someone signed in at {organization} with one of your recovery codes instead of a one-time code.
Recovery codes left: {left}.

If this was you, there is nothing to do. You can create new recovery codes on the Security page.

If this was not you, change your password now, then turn one-time codes off and on again.
""",
    SESSIONS_ENDED: """{greeting}

{by} ended all sessions of your login at {organization}. Your password and your one-time codes have
not changed: sign in again to continue.

If you do not know why, contact the owner of {organization}.
""",
    INVITATION: """{greeting}

{organization} has invited you. Open this link to {what}:

{link}

The link expires in 7 days and can be used once. If you receive a newer invitation, only the
link in the newer email works.

If you do not know {organization}, you can ignore this email.
""",
    VERIFICATION: """{greeting}

{organization} wants to use this email address for a login there. Open this link to {what}:

{link}

The link expires in 24 hours and can be used once. Until you use it, nothing changes.

If you did not expect this email, you can ignore it.
""",
    OWN_VERIFICATION: """{greeting}

Someone wants to sign in with this email address from now on. If it was you, open this link to
confirm it:

{link}

The link expires in 24 hours and can be used once. Until you use it, you sign in with your previous
address.

If it was not you, ignore this email.
""",
    UNDO: """{greeting}

The email address of your login at {organization} is being changed from this address to another one.
The change takes effect once the new address is confirmed.

If you expected this, there is nothing to do.

If you did not, open this link to stop the change, or to restore your login with this address:

{link}

The link expires 7 days after the change was requested and can be used once. Change your password
afterwards, because someone else may know it.
""",
    OWN_UNDO: """{greeting}

The email address of your login is being changed from this address to another one, in all of your
organizations. The change takes effect once the new address is confirmed.

If you requested this, there is nothing to do.

If you did not, open this link to stop the change, or to restore your login with this address:

{link}

The link expires 7 days after the change was requested and can be used once. Change your password
afterwards, because someone else may know it.
""",
    CHANGE_UNDONE: """{greeting}

Someone undid a change of {other}'s email address at {organization}, with the link that we sent to
the previous address. The address of their login is {address}.

If you do not expect this, ask {other}. If {other} should no longer have access, disable or remove
them in the list of members.
""",
    STOP_TRANSFER: """{greeting}

Your provider says that {organization} has lost its owner, and makes {other} the owner on
{until}.

Reason: {reason}

If that is right, there is nothing to do. If it is not, open this link to stop it:

{link}

You can also stop it under Ownership after signing in, until then.
""",
    RENEWAL_REQUESTED: """{greeting}

{other} ({address}) tried to join {organization}, but the link in their invitation is no longer
valid. They have asked you for a new one.

To send it, open the members of {organization} and resend their invitation. If they should not
join, remove them there.
""",
    RESET: """{greeting}

Someone requested a password reset for your login. If it was you, open this link to choose a
new password:

{link}

The link expires in 30 minutes and can be used once.

If you did not request it, ignore this email. Your password has not been changed.
""",
    ADMIN_ADDED: """{greeting}

Your provider made {other} ({address}) an admin of {organization}. Admins see payments and
invoices, and manage members.

If you did not ask for this, sign in and remove this admin in the list of members, and contact
your provider.
""",
    KEY_CREATED: """{greeting}

{by} created an API key for {organization}: {key}

Programs with this key can act for your organization within these scopes: {scopes}

If you do not know what the key is for, ask {by}, or delete the key in the list of API keys. A
deleted key stops working immediately.
""",
    KEYS_SUSPENDED: """{greeting}

These API keys of {organization} no longer work, because the person who created them has lost
their access or a permission that the key has:

{keys}

If a program still needs one of them, adopt the key in the list of API keys. Replace its secret
then, because its former owner may know it. Delete the keys that you no longer need.
""",
    KEYS_ORPHANED: """{greeting}

The people who created these API keys of {organization} have left:

{keys}

The keys stop working on {until}. If a program still needs one of them, adopt the key in the list
of API keys before that day, and replace its secret. Delete the keys that you no longer need.
""",
    CREDITS_LOW: """Hello,

{organization} has {usable_credits} {currency} of usable credits left. You receive this email
because usable credits have fallen to {threshold} {currency} or less.

Please top up soon. Once the credits are used up, purchases and usage stop.

If you have already topped up, you can ignore this email.
""",
    TOP_UP_DUE: """Hello,

{organization} has {usable_credits} {currency} of usable credits left, which starts your
automatic top-up.

Please pay {amount} {currency} by {method}.

If you have already paid, you can ignore this email.
""",
    OWNERSHIP_OFFERED: """{greeting}

{other} has offered you ownership of {organization}.

To accept it, sign in within 72 hours. If you do nothing, the offer expires and nothing
changes.
""",
    OWNERSHIP_GIVEN: """{greeting}

You are now the owner of {organization}. The previous owner was {other}.

The billing email address, the stored card and the automatic top-up have not changed: please
check that they are still right. What was assigned to {other} stays with {other}.
""",
    OWNERSHIP_TAKEN: """{greeting}

{other} is now the owner of {organization}; you no longer are. What was assigned to you stays
with you.

If you did not expect this, contact {other} or your provider. The provider can undo its own
changes of ownership for 72 hours.
""",
    SUPPORT_REQUESTED: """{greeting}

Your provider's support team requests {access} access to {organization} for {lasting}.

Reason: {reason}

Sign in to approve or decline the request. If you do nothing, it expires on {until}.
""",
    SUPPORT_ENDING: """{greeting}

Your provider's support team has access to {organization} until {until}.

Reason: {reason}

The access is not renewed automatically. To end it earlier, sign in and end it there.
""",
    SUPPORT_RECEIPT: """{greeting}

Your provider's support team had access to {organization} {how},
from {began} to {ended} ({lasting}).

Reason: {reason}

The session ended because {why}. Changes made (times in UTC, old value -> new value):

{changes}
""",
}
