"""Credits held for work in progress."""

import marshmallow as ma
from chassis.http import paging
from chassis.http.fields import Flag, Stamp, Text

from billing.schemas.fields import Money, amount_shown

MAX_SECONDS = 30 * 24 * 3600
_STATUSES = ("open", "captured", "released", "expired")


class NewReservation(ma.Schema):
    """``expires_in``: in seconds, at most 30 days."""

    amount = Money(required=True)
    description = Text(required=True, most=255)
    expires_in = ma.fields.Integer(
        strict=True, load_default=3600, validate=ma.validate.Range(1, MAX_SECONDS)
    )


class Capture(ma.Schema):
    """``amount``: by default all that is left.

    ``final``: the rest is released. ``cost``: the cost to the provider.
    """

    amount = Money()
    final = Flag()
    cost = Money(zero=True)


class Release(ma.Schema):
    """The body is empty."""


class Reservation(ma.Schema):
    """A reservation: amount = captured + released + the amount still held.

    It is ``expired`` from ``expires_at`` on; what it held may be released a moment later.
    """

    id = ma.fields.String(required=True)
    organization_id = ma.fields.String(required=True)
    amount = amount_shown(required=True)
    captured = amount_shown(required=True)
    released = amount_shown(required=True)
    status = ma.fields.String(required=True, validate=ma.validate.OneOf(_STATUSES))
    description = ma.fields.String(required=True)
    expires_at = Stamp(required=True)
    created_at = Stamp(required=True)


ReservationPage = paging.page_of(Reservation)


class ReservationsQuery(paging.PageArgs):
    """``status``: only reservations with this status."""

    status = ma.fields.String(validate=ma.validate.OneOf(_STATUSES))
