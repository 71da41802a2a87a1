"""Actions on a member that are confirmed first, with their texts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MemberAction:
    """An action on a member, after a question. ``path``: below the member, here and in the API;
    ``explanation``: below the question; ``success``: the message afterwards, after the name."""

    path: str
    operation: str
    title: str
    explanation: str
    button: str
    success: str
    danger: bool = False

    @property
    def ends_access(self) -> bool:
        """Whether it ends what the member has begun."""
        return self.operation in ("member.disable", "member.remove")

    @property
    def endpoint(self) -> str:
        """Its page."""
        return self.operation.removeprefix("member.")


ACTIONS = (
    MemberAction(
        "disable",
        "member.disable",
        "Disable",
        "They are signed out within seconds and can't sign in or use a PIN until you enable them "
        "again. Nothing is deleted.",
        "Disable member",
        "was disabled and will be signed out within seconds.",
        True,
    ),
    MemberAction(
        "enable",
        "member.enable",
        "Enable",
        "They can sign in again. If they have not joined yet, we email a new invitation.",
        "Enable member",
        "was enabled and can sign in again.",
    ),
    MemberAction(
        "remove",
        "member.remove",
        "Remove",
        "They are signed out within seconds and lose access to this organization. Their access to "
        "other organizations stays. To bring them back, you have to add them again.",
        "Remove member",
        "was removed and will be signed out within seconds.",
        True,
    ),
    MemberAction(
        "confirm",
        "member.confirm",
        "Confirm",
        "Your provider added this person, made them an admin, or changed their email address. Once "
        "you confirm them, they can approve support access if they are an admin. Check the email "
        "address first.",
        "Confirm member",
        "was confirmed.",
    ),
    MemberAction(
        "resend-verification",
        "member.resend",
        "Resend email to",
        "They get a new email with a new link. The link in the previous email stops working "
        "immediately.",
        "Resend email",
        "was sent a new link. Earlier links no longer work.",
    ),
    MemberAction(
        "reset-password",
        "member.reset_password",
        "Reset password for",
        "They get an email with a link to choose a new password. The link expires in 30 minutes. "
        "Their current password works until then.",
        "Send link",
        "was sent a link to choose a new password. It expires in 30 minutes.",
    ),
    MemberAction(
        "reset-mfa",
        "member.reset_mfa",
        "Reset one-time codes for",
        "For somebody who has lost their authenticator and their recovery codes. Make sure first "
        "that the request is really theirs. If they belong to no other organization, they are "
        "signed out everywhere and sign in without a code from now on. Otherwise they get a link "
        "by email, by which they turn the codes off with their password. So do the owner and the "
        "admins of a customer that manages itself, if its provider resets their codes.",
        "Reset codes",
        "got an email. If it has a link, their one-time codes are turned off once they use it; "
        "otherwise they are off now.",
        True,
    ),
    MemberAction(
        "end-sessions",
        "member.end_sessions",
        "End all sessions of",
        "They are signed out of this organization within seconds, on every device, and are told by "
        "email. They can sign in again. Their sessions in other organizations stay.",
        "End sessions",
        "will be signed out within seconds.",
    ),
    MemberAction(
        "reset-pin",
        "member.reset_pin",
        "Reset PIN for",
        "You get a new PIN, which is shown only once. The current PIN stops working immediately.",
        "Reset PIN",
        "",
        True,
    ),
)
