"""What rows of the audit say to people: what was done, why, and what is different since."""

import json
from collections.abc import Mapping
from typing import Any

from console.values import words

# action -> words; what is not here is said by its code. Refused attempts are named by their
# operation.
ACTIONS: Mapping[str, str] = {
    "organization.created": "Organization created",
    "organization.activated": "Organization set up and active",
    "organization.changed": "Organization changed",
    "organization.suspended": "Organization suspended",
    "organization.reactivated": "Organization activated again",
    "organization.activation_requested": "Activation asked for",
    "organization.deleted": "Organization deleted for good",
    "deletion.requested": "Deletion asked for",
    "deletion.refused": "Deletion refused",
    "deletion.scheduled": "Deletion scheduled",
    "deletion.purge_begun": "Final deletion begun",
    "deletion.purge_blocked": "Final deletion held up",
    "settings.changed": "Provider's settings changed",
    "account.opened": "Account opened",
    "account.topped_up": "Topped up",
    "account.charged": "Charged",
    "account.withdrawn": "Credits withdrawn",
    "account.refunded": "Refunded",
    "account.reversed": "Reversed",
    "account.adjusted": "Adjusted",
    "account.credit_limit_changed": "Credit limit changed",
    "account.payment_mode_changed": "Payment mode changed",
    "account.payment_recorded": "Payment recorded",
    "account.payment_assigned": "Payment assigned to invoices",
    "account.payment_method_removed": "Payment method removed",
    "account.auto_top_up_changed": "Auto top-up changed",
    "account.auto_top_up_failed": "Auto top-up failed",
    "account.closed": "Account closed",
    "account.reopened": "Account reopened",
    "account.sealed": "Account sealed",
    "invoice.issued": "Invoice issued",
    "invoice.voided": "Invoice voided",
    "invoice.credited": "Credit note issued",
    "wallet.topped_up": "Provider's wallet topped up",
    "member.added": "Member added",
    "member.updated": "Member changed",
    "member.disabled": "Member disabled",
    "member.enabled": "Member enabled",
    "member.removed": "Member removed",
    "member.login": "Signed in",
    "member.proved": "Proved who they are",
    "member.login_as.started": "Support stepped in as a member",
    "member.login_as.ended": "Support stepped out",
    "member.login_as": "Step in as a member",
    "invitation.sent": "Invitation sent",
    "invitation.renewal_asked": "New invitation asked for",
    "email.verified": "E-mail address verified",
    "email.change_undone": "Change of e-mail address undone",
    "password.reset_asked": "New password asked for",
    "password.reset": "Password set anew",
    "password.changed": "Password changed",
    "mfa.enabled": "One-time codes switched on",
    "mfa.disabled": "One-time codes switched off",
    "mfa.recovery_code_used": "Recovery code used",
    "pin.reset": "PIN set anew",
    "pin.shut": "PIN locked after wrong guesses",
    "pin.guessing": "PINs are being guessed",
    "ownership.offered": "Ownership offered",
    "ownership.accepted": "Ownership accepted",
    "ownership.transferred": "Ownership transferred",
    "ownership.undone": "Transfer of ownership undone",
    "support.requested": "Remote Support asked for",
    "support.approved": "Remote Support allowed",
    "support.refused": "Remote Support declined",
    "support.entered": "Support came in",
    "support.left": "Support left",
    "support.ended": "Remote Support ended",
    "support.expired": "Remote Support ran out",
    "api_key.created": "API key created",
    "api_key.rotated": "API key renewed",
    "api_key.deleted": "API key deleted",
}
OUTCOMES: Mapping[str, str] = {"ok": "Done", "denied": "Denied", "error": "Failed"}
KINDS: Mapping[str, str] = {
    "member": "The customer's people",
    "staff": "The provider's staff",
    "support": "Support",
    "api_key": "Programs",
    "system": "The system itself",
}
_REASONS: Mapping[str, str] = {
    "stopped": "stopped by whoever was inside",
    "expired": "its time had run out",
    "staff_session_ended": "the staff's own session ended",
    "member_changed": "the member was changed",
    "organization_changed": "the organization was changed",
    "revoked_by_customer": "ended by the customer",
    "forced_by_provider": "ended by the provider",
    "forbidden": "their role does not allow it",
    "signed_out": "signed out",
}


def action(code: str) -> str:
    """What was done."""
    return ACTIONS.get(code) or words.words(code)


def reason(code: str | None) -> str:
    """Why, in the words of whoever did it, or in ours for our own codes."""
    return _REASONS.get(code or "", code or "")


def value(found: Any) -> str:
    """What a field held."""
    if found is None or found == "":
        return "nothing"
    if isinstance(found, bool):
        return "yes" if found else "no"
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
