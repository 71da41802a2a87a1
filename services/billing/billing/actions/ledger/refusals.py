"""The errors of commands that an account refuses."""

from typing import Any

from chassis.errors import Conflict, Failure, Gone
from chassis.runtime import clock
from sqlalchemy.orm import Session

from billing import queries
from billing.models.decisions import NOT_WITHDRAWABLE, Refusal
from billing.values import format_money


class AccountClosed(Conflict):
    code = "account_closed"
    detail = "This account is closed. Activate the organization first."


class AccountFrozen(Conflict):
    code = "account_frozen"
    detail = "The organization is suspended, so it cannot be charged. Activate it first."


class AmountTooLarge(Conflict):
    code = "amount_too_large"
    detail = (
        "The balance would exceed twelve digits before the decimal point. Use a smaller amount."
    )


class InsufficientCredits(Conflict):
    code = "insufficient_credits"
    detail = "The account does not have enough credits. Top it up or use a smaller amount."


class NotWithdrawable(InsufficientCredits):
    code = "insufficient_credits"
    detail = "The amount is higher than what can be withdrawn. Use a smaller amount."


class CaptureExceedsReservation(Conflict):
    code = "capture_exceeds_reservation"
    detail = (
        "The amount is higher than what is left of this reservation. Capture no more than the "
        "remaining amount, and charge the rest."
    )


class ReservationSettled(Conflict):
    code = "reservation_settled"
    detail = "This reservation was already captured or released. Create a new one."


class ReservationExpired(Gone):
    code = "reservation_expired"
    detail = "This reservation has expired. Create a new one."


class NotReversible(Conflict):
    code = "not_reversible"
    detail = "Transactions of this type cannot be reversed. Correct the account with an adjustment."


class AlreadyReversed(Conflict):
    code = "already_reversed"
    detail = "This transaction has already been reversed."


_FAILURES: tuple[type[Failure], ...] = (
    AccountClosed,
    AccountFrozen,
    AmountTooLarge,
    InsufficientCredits,
    CaptureExceedsReservation,
    ReservationSettled,
    ReservationExpired,
)
_BY_CODE = {
    **{failure.code: failure for failure in _FAILURES},
    "organization_not_found": queries.NoAccount,
    "not_found": queries.NoReservation,
    NOT_WITHDRAWABLE: NotWithdrawable,
}


def failure(session: Session, organization_id: str, refusal: Refusal) -> Failure:
    """The error of the refusal. If credits are missing, it names the reservations whose expiry
    frees them."""
    details = dict(refusal.details)
    if refusal.missing:
        details |= _freed_by_expiry(
            session, organization_id, refusal.held, refusal.currency, refusal.missing
        )
    return _BY_CODE[refusal.code](**details)


def _freed_by_expiry(
    session: Session, organization_id: str, held: int, currency: str, missing: int
) -> dict[str, Any]:
    """The reservations whose expiry frees the missing amount, and when; none if not all of it.

    ``held``: what all reservations of the account hold.
    """
    if not 0 < missing <= held:
        return {"reservations": [], "freed_at": None}
    soonest, freed_at = queries.reservations_freeing(session, organization_id, missing)
    return {
        "reservations": [
            {
                "id": reservation_id,
                "frees": format_money(left, currency),
                "expires_at": clock.stamp(expires_at),
            }
            for reservation_id, left, expires_at in soonest
        ],
        "freed_at": clock.stamp(freed_at),
    }
