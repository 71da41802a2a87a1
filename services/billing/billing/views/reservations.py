"""Reservations of an account."""

from collections.abc import Callable
from typing import Any

from chassis.auth.access import current_caller, provider_to_check, requires
from chassis.http import context, idempotency, paging
from chassis.http.parsing import Blueprint
from chassis.http.responses import json_response
from chassis.runtime import clock
from flask import Response

from billing import actions, queries, schemas

blp = Blueprint(
    "reservations",
    __name__,
    url_prefix="/v1/organizations/<organization_id>/account/reservations",
    description="Credits held on a customer's account",
)
_RESERVATION = schemas.Reservation()


@blp.route("", methods=["GET"])
@requires("account.read")
@blp.arguments(schemas.ReservationsQuery, location="query")
@blp.response(200, schemas.ReservationPage)
def list_reservations(query: dict[str, Any], organization_id: str) -> Response:
    """List the account's reservations, newest first."""
    limit, cursor, now = query.pop("limit"), query.pop("cursor", None), clock.now()
    with context.database().reading() as session:
        currency = queries.get_account(session, organization_id).currency
        page = paging.page(
            session,
            queries.reservations(organization_id, now=now, **query),
            limit=limit,
            cursor=cursor,
            order=repr((organization_id, sorted(query.items()))),
            row=lambda row: queries.show_reservation(row[0], currency, now),
        )
    return json_response(schemas.ReservationPage().dump(page))


@blp.route("/<reservation_id>", methods=["GET"])
@requires("account.read")
@blp.response(200, schemas.Reservation)
def read_reservation(organization_id: str, reservation_id: str) -> Response:
    """Retrieve a reservation."""
    with context.database().reading() as session:
        currency = queries.get_account(session, organization_id).currency
        reservation = queries.get_reservation(session, organization_id, reservation_id)
    shown = queries.show_reservation(reservation, currency, clock.now())
    return json_response(_RESERVATION.dump(shown))


@blp.route("", methods=["POST"])
@idempotency.key_required
@requires("account.reserve", view_checks=True)
@blp.arguments(schemas.NewReservation)
@blp.response(201, schemas.Reservation)
def create_reservation(body: dict[str, Any], organization_id: str) -> Response:
    """Create a reservation, which holds credits."""
    terms = {**body, **_target(organization_id)}
    return _change(
        actions.reserve_order(**terms),
        lambda session: actions.reserve(session, now=clock.now(), **terms),
        status=201,
    )


@blp.route("/<reservation_id>/capture", methods=["POST"])
@idempotency.key_required
@requires("account.reserve", view_checks=True)
@blp.arguments(schemas.Capture)
@blp.response(200, schemas.Reservation)
def capture_reservation(
    body: dict[str, Any], organization_id: str, reservation_id: str
) -> Response:
    """Charge the amount held, or a part of it."""
    terms = {**body, **_target(organization_id), "reservation_id": reservation_id}
    return _change(
        actions.capture_order(**terms),
        lambda session: actions.capture(session, now=clock.now(), **terms),
    )


@blp.route("/<reservation_id>/release", methods=["POST"])
@idempotency.key_required
@requires("account.reserve", view_checks=True)
@blp.arguments(schemas.Release)
@blp.response(200, schemas.Reservation)
def release_reservation(
    body: dict[str, Any], organization_id: str, reservation_id: str
) -> Response:
    """Release the amount still held."""
    terms = {**_target(organization_id), "reservation_id": reservation_id}
    return _change(
        actions.release_order(**terms),
        lambda session: actions.release(session, now=clock.now(), **terms),
    )


def _target(organization_id: str) -> dict[str, Any]:
    """The account, the provider that it must belong to, and who acts."""
    return {
        "organization_id": organization_id,
        "provider_id": provider_to_check(organization_id),
        "by": current_caller().actor(),
    }


def _change(order: Any, act: Callable[[Any], Any], *, status: int = 200) -> Response:
    return idempotency.change_in_group(
        order,
        actions.show_reservation_after,
        status=status,
        alone=lambda: idempotency.change(_RESERVATION, act, status=status),
    )
