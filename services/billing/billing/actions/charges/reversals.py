"""Taking back what should not have been posted, or a payment that bounced: the journal forgets
nothing, so by a transaction that mirrors it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from chassis.errors import Conflict
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.charges import adjustments, top_ups
from billing.actions.ledger import posting
from billing.actions.payments import allocation, payments
from billing.models import Account, Entry
from billing.values import ADJUSTMENT_KINDS, ISSUE, PREPAID, SPENDING_KINDS, Code, Transfer

REVERSIBLE = ("top_up", "withdrawal", "payment", *ADJUSTMENT_KINDS)
_BUCKETS = (Code.PREPAID, Code.SURPLUS, Code.UNBILLED, Code.INVOICED)
_INSTEAD = {
    "invoice": "An invoice is voided, or credited by a credit note.",
    "reassignment": "Assign the payment to other invoices.",
    **dict.fromkeys(SPENDING_KINDS, "A charge is refunded."),
}


class NotReversible(Conflict):
    code = "not_reversible"
    detail = "Transactions of this type cannot be reversed. Correct the account with an adjustment."


class AlreadyReversed(Conflict):
    code = "already_reversed"
    detail = "This transaction has already been reversed."


def reverse(
    session: Session,
    *,
    organization_id: str,
    transaction_id: str,
    reason: str,
    now: datetime,
    by: Actor,
) -> dict[str, Any]:
    """Post the mirror image of a top-up, a withdrawal, an adjustment or a payment, once; the
    transaction. What a payment has paid is due again, and what of it was used otherwise is owed
    again. Money goes back the way it came: what was withdrawn by issue is issued again.

    Raises NoAccount, NoTransaction, AccountClosed, NotReversible, AlreadyReversed,
    ProviderCreditsInsufficient, AmountTooLarge."""
    queries.get_account(session, organization_id)
    rows = queries.rows_of(session, organization_id, transaction_id)
    first = rows[0]
    if first.kind not in REVERSIBLE:
        raise NotReversible(_INSTEAD.get(first.kind, ""))
    issued = ISSUE if first.method == ISSUE and first.kind == "withdrawal" else None
    account = top_ups.lock_for_deposit(session, organization_id, issued)
    if queries.refunded_or_reversed(session, organization_id, transaction_id) is not None:
        raise AlreadyReversed()
    top_ups.check_provider_funds(session, account, issued, first.amount)
    transfers = (
        _mirror_payment(session, account, first)
        if first.kind == "payment"
        else _mirror(account, rows)
    )
    posted = posting.post(
        session,
        account,
        _within_surplus(account, transfers),
        kind="reversal",
        now=now,
        payment_id=first.payment_id,
        method=first.method,
        reason=reason,
        refunded_id=transaction_id,
        description=f"Reversal: {first.description}",
    )
    posting.record_transaction(session, account, "account.reversed", posted, by=by, now=now)
    allocation.update_invoices(session, account, posted, now)
    return queries.show_transaction(posted, account.currency, staff=True)


def _mirror_payment(session: Session, account: Account, first: Entry) -> list[Transfer]:
    """What the payment has paid by now is due again, then the money goes. An account that is
    prepaid meanwhile has no due invoices; there the wallet owes it."""
    payment = queries.get_payment(session, account.organization_id, str(first.payment_id))
    payment.status = "reversed"
    released = (
        []
        if account.payment_mode == PREPAID
        else payments.release(payments.assigned(session, payment))
    )
    return [*released, *_mirror(account, [first])]


def _mirror(account: Account, rows: Sequence[Entry]) -> list[Transfer]:
    """The rows with debit and credit swapped."""
    transfers = []
    for row in rows:
        source, goes_to = Code(row.credit), Code(row.debit)
        if source in _BUCKETS:
            bucket = _bucket_now(account, source)
            transfers.append(
                Transfer(bucket, goes_to, row.amount, row.invoice_id if bucket == source else None)
            )
        elif goes_to == Code.UNBILLED:  # of which less may be left than was taken
            transfers += adjustments.credit_customer(account, source, row.amount)
        else:
            transfers.append(Transfer(source, _bucket_now(account, goes_to), row.amount))
    return transfers


def _bucket_now(account: Account, bucket: Code) -> Code:
    """The bucket that stands for this one under today's payment mode."""
    if account.payment_mode == PREPAID:
        return Code.PREPAID
    return Code.SURPLUS if bucket == Code.PREPAID else bucket


def _within_surplus(account: Account, transfers: Sequence[Transfer]) -> list[Transfer]:
    """What the surplus holds no longer, because it was used or paid out, is owed anew: it goes on
    the next invoice."""
    there, possible = account.surplus, []
    for transfer in transfers:
        amount = min(there, transfer.amount) if transfer.debit == Code.SURPLUS else transfer.amount
        there += amount * ((transfer.credit == Code.SURPLUS) - (transfer.debit == Code.SURPLUS))
        possible += [transfer._replace(amount=amount)] if amount else []
        if amount < transfer.amount:
            possible.append(Transfer(Code.UNBILLED, transfer.credit, transfer.amount - amount))
    return possible
