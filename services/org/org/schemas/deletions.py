"""Deletions, and what prevents one, as responses carry them."""

from typing import Any

import marshmallow as ma
from chassis.http.fields import Stamp, Text


class Reason(ma.Schema):
    """The reason."""

    reason = Text(most=500)


class Blocker(ma.Schema):
    """Something that prevents the deletion, and the call that resolves it."""

    code = ma.fields.String()
    detail = ma.fields.String()
    amount = ma.fields.String()
    currency = ma.fields.String()
    fix = ma.fields.Dict()


class Caution(ma.Schema):
    """Something to consider before the deletion."""

    code = ma.fields.String()
    detail = ma.fields.String()


class DeletionCheck(ma.Schema):
    """Whether the organization could be deleted now."""

    deletable = ma.fields.Boolean()
    blockers = ma.fields.List(ma.fields.Nested(Blocker))
    warnings = ma.fields.List(ma.fields.Nested(Caution))


class Deletion(ma.Schema):
    """A deletion request and its outcome."""

    id = ma.fields.String()
    organization_id = ma.fields.String()
    status = ma.fields.String()
    blockers = ma.fields.List(ma.fields.Nested(Blocker))
    reason = ma.fields.String(allow_none=True)
    requested_by = ma.fields.Dict()
    requested_at = Stamp()
    confirmed_at = Stamp(allow_none=True)
    purge_at = Stamp(allow_none=True)


# Blocker -> explanation, and method and path of the call that resolves it.
_REMEDIES = {
    "credits_left": (
        "The account has remaining credits. Withdraw them.",
        "POST",
        "account/withdrawals",
    ),
    "amount_due": (
        "An amount is due. Record a payment for it or write it off.",
        "POST",
        "payments",
    ),
    "credits_reserved": (
        "Credits are reserved. Capture or release each of these reservations.",
        "GET",
        "account/reservations?status=open",
    ),
    "unbilled_amount": (
        "Some charges are not invoiced yet. Issue the invoice and settle it.",
        "POST",
        "invoices",
    ),
    "overpaid": (
        "The customer has paid more than was due. Pay out the surplus.",
        "POST",
        "account/withdrawals",
    ),
    "payment_in_flight": ("A payment is in progress. Wait for its outcome.", "GET", "account"),
}
# A prepaid customer has no invoices; what is due there is a negative balance.
_PREPAID_REMEDIES = _REMEDIES | {
    "amount_due": (
        "The credits are below zero. Top up or write it off.",
        "POST",
        "account/top-ups",
    )
}
_UNKNOWN = ("This must be resolved first.", "GET", "account")


def with_remedies(
    organization_id: str, payment_mode: str, blockers: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Billing's blockers, each with an explanation and the call that resolves it."""
    remedies = _PREPAID_REMEDIES if payment_mode == "prepaid" else _REMEDIES
    explained = []
    for blocker in blockers:
        detail, method, path = remedies.get(blocker["code"], _UNKNOWN)
        fix = {"method": method, "href": f"/v1/organizations/{organization_id}/{path}"}
        explained.append({**blocker, "detail": detail, "fix": fix})
    return explained
