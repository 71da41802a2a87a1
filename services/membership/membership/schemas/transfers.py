"""Transfers of ownership."""

from datetime import datetime
from typing import Any

import marshmallow as ma
from chassis.http.fields import Stamp, Text, TypeId
from chassis.http.paging import page_of
from marshmallow import fields

_FOLLOW_UP = (
    (
        "billing_email",
        "Bills still go to the same address. Change it if it belongs to the previous owner.",
        "",
    ),
    (
        "payment_method",
        "The stored card is unchanged. Remove it if it belongs to the previous owner.",
        "/account/payment-method",
    ),
    (
        "auto_top_up",
        "Automatic top-ups continue unchanged. Check the amount and the payment method.",
        "/account",
    ),
)


class NewTransfer(ma.Schema):
    """The member to become the owner, and the reason."""

    member_id = TypeId("mem", required=True)
    reason = Text(required=True, most=500)


class TransferParty(ma.Schema):
    """The previous or the new owner."""

    member_id = fields.String(required=True)
    name = fields.String(required=True)


class Assignment(ma.Schema):
    """Something that stays with the previous owner, and where to change it."""

    type = fields.String(required=True)
    id = fields.String(required=True)
    label = fields.String(required=True)
    href = fields.String(required=True)


class FollowUp(ma.Schema):
    """Something to check after the transfer, and where."""

    code = fields.String(required=True)
    detail = fields.String(required=True)
    href = fields.String(required=True)


class OwnershipTransfer(ma.Schema):
    """A transfer of ownership. ``expires_at``: of an offer; ``takes_effect_at``: of a scheduled
    one; ``undo_until``: of one by staff at once."""

    id = fields.String(required=True)
    organization_id = fields.String(required=True)
    status = fields.String(required=True)
    by = fields.String(required=True)
    giver = fields.Nested(TransferParty, required=True, data_key="from")
    taker = fields.Nested(TransferParty, required=True, data_key="to")
    reason = fields.String(required=True)
    created_at = Stamp(required=True)
    expires_at = Stamp(required=True, allow_none=True)
    takes_effect_at = Stamp(required=True, allow_none=True)
    undo_until = Stamp(required=True, allow_none=True)
    assignments = fields.List(fields.Nested(Assignment), required=True)
    follow_up = fields.List(fields.Nested(FollowUp), required=True)


OwnershipTransferPage = page_of(OwnershipTransfer)


def transfer_for_response(row: Any, is_customer: bool, now: datetime) -> dict[str, Any]:
    """The transfer as a response. What stays with the previous owner is listed while it matters.

    ``row``: a transfer with its two members."""
    transfer, giver, taker = row[:3]
    path, status = f"/v1/organizations/{transfer.organization_id}", transfer.status_at(now)
    matters = status in ("offered", "scheduled", "completed")
    was_at_once = transfer.ended_at is not None and transfer.ended_at < transfer.expires_at
    can_be_undone = transfer.by_staff and status == "completed" and was_at_once
    follow_up = []
    if matters and is_customer:
        for code, detail, rest in _FOLLOW_UP:
            follow_up.append({"code": code, "detail": detail, "href": path + rest})
    return {
        "id": transfer.id,
        "organization_id": transfer.organization_id,
        "status": status,
        "by": "staff" if transfer.by_staff else "owner",
        "reason": transfer.reason,
        "giver": {"member_id": giver.id, "name": giver.name},
        "taker": {"member_id": taker.id, "name": taker.name},
        "created_at": transfer.created_at,
        "expires_at": None if transfer.by_staff else transfer.expires_at,
        "takes_effect_at": transfer.expires_at if status == "scheduled" else None,
        "undo_until": transfer.expires_at if can_be_undone else None,
        "assignments": _assignments(giver, path) if matters else [],
        "follow_up": follow_up,
    }


def _assignments(giver: Any, path: str) -> list[dict[str, str]]:
    if giver.extension is None:
        return []
    label = f"Extension {giver.extension}" + (" and its PIN" if giver.pin_hash else "")
    return [
        {
            "type": "extension",
            "id": giver.extension,
            "label": label,
            "href": f"{path}/members/{giver.id}",
        }
    ]
