"""Labels of the audit log: actions, reasons and changed values."""

import json
from collections.abc import Mapping
from typing import Any

from console.values import labels

# action -> label; an action that is not listed is shown by its code. Denied attempts are named by
# their operation.
ACTIONS: Mapping[str, str] = {
    "organization.created": "Organization created",
    "organization.activated": "Organization set up and active",
    "organization.changed": "Organization changed",
    "organization.suspended": "Organization suspended",
    "organization.reactivated": "Organization activated again",
    "organization.activation_requested": "Activation requested",
    "organization.deleted": "Organization permanently deleted",
    "deletion.requested": "Deletion requested",
    "deletion.refused": "Deletion refused",
    "deletion.scheduled": "Deletion scheduled",
    "deletion.purge_begun": "Permanent deletion started",
    "deletion.purge_blocked": "Permanent deletion blocked",
    "settings.changed": "Provider settings changed",
    "account.opened": "Account opened",
    "account.topped_up": "Account topped up",
    "account.charged": "Account charged",
    "usage.recorded": "Usage recorded",
    "account.withdrawn": "Credits withdrawn",
    "account.refunded": "Charge refunded",
    "account.reversed": "Transaction reversed",
    "account.adjusted": "Balance adjusted",
    "account.credit_limit_changed": "Credit limit changed",
    "account.payment_mode_changed": "Payment mode changed",
    "account.payment_recorded": "Payment recorded",
    "account.payment_assigned": "Payment assigned to invoices",
    "account.allocated": "Surplus allocated to invoices",
    "account.payment_method_removed": "Payment method removed",
    "account.auto_top_up_changed": "Automatic top-up changed",
    "account.auto_top_up_failed": "Automatic top-up failed",
    "account.closed": "Account closed",
    "account.reopened": "Account reopened",
    "account.sealed": "Account sealed",
    "invoice.issued": "Invoice issued",
    "invoice.voided": "Invoice voided",
    "invoice.credited": "Credit note issued",
    "wallet.topped_up": "Provider wallet topped up",
    "wallet.reversed": "Provider wallet top-up reversed",
    "member.added": "Member added",
    "member.updated": "Member changed",
    "member.disabled": "Member disabled",
    "member.enabled": "Member enabled",
    "member.removed": "Member removed",
    "member.left": "Member left",
    "member.confirmed": "Member confirmed",
    "member.sessions_ended": "Sessions of the member ended",
    "member.login": "Signed in",
    "member.proved": "Re-authenticated",
    "member.login_as.started": "Login As session started",
    "member.login_as.ended": "Login As session ended",
    "member.login_as": "Log in as a member",
    "invitation.sent": "Invitation sent",
    "invitation.renewal_asked": "New invitation requested",
    "email.verified": "Email address verified",
    "email.changed": "Email address changed",
    "email.change_undone": "Email address change undone",
    "password.reset_asked": "Password reset requested",
    "password.reset": "Password reset",
    "password.changed": "Password changed",
    "mfa.enabled": "One-time codes turned on",
    "mfa.disabled": "One-time codes turned off",
    "mfa.authenticator_added": "Authenticator added",
    "mfa.authenticator_removed": "Authenticator removed",
    "mfa.recovery_code_used": "Recovery code used",
    "mfa.recovery_codes_renewed": "Recovery codes renewed",
    "mfa.reset": "One-time codes reset",
    "mfa.reset_asked": "Reset of one-time codes requested",
    "pin.reset": "PIN reset",
    "pin.shut": "PIN locked after failed attempts",
    "pin.guessing": "Repeated failed PIN attempts",
    "ownership.offered": "Ownership offered",
    "ownership.scheduled": "Ownership transfer scheduled",
    "ownership.accepted": "Ownership accepted",
    "ownership.transferred": "Ownership transferred",
    "ownership.undone": "Ownership transfer undone",
    "support.requested": "Remote Support requested",
    "support.approved": "Remote Support approved",
    "support.refused": "Remote Support declined",
    "support.entered": "Support session started",
    "support.left": "Support session ended",
    "support.ended": "Remote Support ended",
    "support.expired": "Remote Support expired",
    "api_key.created": "API key created",
    "api_key.rotated": "API key rotated",
    "api_key.deleted": "API key deleted",
    "api_key.suspended": "API key suspended",
    "api_key.adopted": "API key adopted",
}
OUTCOMES: Mapping[str, str] = {"ok": "Done", "denied": "Denied", "error": "Failed"}
KINDS: Mapping[str, str] = {
    "member": "Customer members",
    "staff": "Provider staff",
    "support": "Support",
    "api_key": "API keys",
    "system": "System",
}
_REASONS: Mapping[str, str] = {
    "stopped": "ended by the person using it",
    "expired": "expired",
    "staff_session_ended": "the staff member signed out",
    "member_changed": "the member was changed",
    "organization_changed": "the organization was changed",
    "revoked_by_customer": "ended by the customer",
    "forced_by_provider": "ended by the provider",
    "forbidden": "not allowed for their role",
    "signed_out": "signed out",
}


def action(code: str) -> str:
    """The label of an action."""
    return ACTIONS.get(code) or labels.label(code)


def reason(code: str | None) -> str:
    """The reason as it was entered, or the label of one of our own codes."""
    return _REASONS.get(code or "", code or "")


def value(content: Any) -> str:
    """A field's value."""
    if content is None or content == "":
        return "empty"
    if isinstance(content, bool):
        return "yes" if content else "no"
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
