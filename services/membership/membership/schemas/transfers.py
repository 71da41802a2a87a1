"""Changes of ownership."""

from datetime import datetime
from typing import Any

import marshmallow as ma
from chassis.http.fields import Stamp, Text, TypeId
from chassis.http.paging import page_of
from marshmallow import fields

_FOLLOW_UP = (
    (
        "billing_email",
        "Bills still go to the same address. Change it if it was the former owner's.",
        "",
    ),
    (
        "payment_method",
        "The stored card stays. Remove it if it was the former owner's.",
        "/account/payment-method",
    ),
    ("auto_top_up", "Automatic top-ups go on as they were. Check amount and method.", "/account"),
)


class NewTransfer(ma.Schema):
    """Who is to be the owner, and why."""

    member_id = TypeId("mem", required=True)
    reason = Text(required=True, most=500)


class TransferParty(ma.Schema):
    """One of the two between whom it is."""

    member_id = fields.String(required=True)
    name = fields.String(required=True)


class Assignment(ma.Schema):
    """Something that stays with the former owner, and where it can be changed."""

    type = fields.String(required=True)
    id = fields.String(required=True)
    label = fields.String(required=True)
    href = fields.String(required=True)


class FollowUp(ma.Schema):
    """Something to look after by hand, and where."""

    code = fields.String(required=True)
    detail = fields.String(required=True)
    href = fields.String(required=True)


class OwnershipTransfer(ma.Schema):
    """A change of ownership. ``expires_at``: of an offer; ``undo_until``: of what staff did at
    once."""

    id = fields.String(required=True)
    organization_id = fields.String(required=True)
    status = fields.String(required=True)
    by = fields.String(required=True)
    giver = fields.Nested(TransferParty, required=True, data_key="from")
    taker = fields.Nested(TransferParty, required=True, data_key="to")
    reason = fields.String(required=True)
    created_at = Stamp(required=True)
    expires_at = Stamp(required=True, allow_none=True)
    undo_until = Stamp(required=True, allow_none=True)
    assignments = fields.List(fields.Nested(Assignment), required=True)
    follow_up = fields.List(fields.Nested(FollowUp), required=True)


OwnershipTransferPage = page_of(OwnershipTransfer)


def handover_for_people(found: Any, is_customer: bool, now: datetime) -> dict[str, Any]:
    """A change of ownership as answered: with what stays as it was, while that matters."""
    transfer, giver, taker = found
    path, status = f"/v1/organizations/{transfer.organization_id}", transfer.status_at(now)
    matters = status in ("offered", "completed")
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
        "undo_until": transfer.expires_at if transfer.by_staff and status == "completed" else None,
        "assignments": _assignments(giver, path) if matters else [],
        "follow_up": [
            {"code": code, "detail": detail, "href": path + rest}
            for code, detail, rest in _FOLLOW_UP
            if matters and is_customer
        ],
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
