"""Reversing transactions posted by mistake, and payments that bounced.

The journal is append-only, so a reversal is a new transaction that mirrors the first.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import audit_log, wallet
from billing.actions.charges import adjustments
from billing.actions.ledger import posting
from billing.actions.ledger.refusals import AlreadyReversed, NotReversible
from billing.actions.payments import allocation
from billing.models import Account, Entry, Source
from billing.values import ADJUSTMENT_KINDS, ISSUE, PREPAID, SPENDING_KINDS, Code, Transfer

REVERSIBLE = ("top_up", "withdrawal", "payment", *ADJUSTMENT_KINDS)
_BUCKETS = (Code.PREPAID, Code.SURPLUS, Code.UNBILLED, Code.INVOICED)
_INSTEAD = {
    "invoice": "An invoice cannot be reversed. Void it, or issue a credit note.",
    "reassignment": "A reassignment cannot be reversed. Assign the payment to other invoices.",
    **dict.fromkeys(SPENDING_KINDS, "A charge cannot be reversed. Refund it."),
}


def reverse(
    session: Session,
    *,
    organization_id: str,
    transaction_id: str,
    reason: str,
    now: datetime,
    by: Actor,
) -> dict[str, Any]:
    """Reverse a top-up, withdrawal, adjustment or payment, once; returns the new transaction.

    Invoices paid from a reversed payment, top-up or credit are due again; what of it was withdrawn
    is owed again.
    A withdrawal by ISSUE is issued again. Raises NoAccount, NoTransaction, AccountClosed,
    NotReversible, AlreadyReversed, ProviderCreditsInsufficient, AmountTooLarge.
    """
    queries.get_account(session, organization_id)
    rows = queries.rows_of(session, organization_id, transaction_id)
    first = rows[0]
    if first.kind not in REVERSIBLE:
        raise NotReversible(_INSTEAD.get(first.kind, ""))
    is_issued_again = first.kind == "withdrawal" and first.method == ISSUE
    deposit_method = ISSUE if is_issued_again else None
    account = wallet.lock_for_deposit(session, organization_id, deposit_method)
    if queries.refunded_or_reversed(session, organization_id, transaction_id) is not None:
        raise AlreadyReversed()
    wallet.check_provider_funds(session, account, deposit_method, first.amount)
    if first.kind == "payment":
        _note_reversed(session, account, first)
    transfers = _transfers(session, account, rows)
    if first.kind == "top_up":
        account.last_top_up = queries.last_top_up(session, organization_id, but=transaction_id)
    posted = posting.post(
        session,
        account,
        transfers,
        kind="reversal",
        now=now,
        by=by,
        payment_id=first.payment_id,
        method=first.method,
        reason=reason,
        refunded_id=transaction_id,
        description=f"Reversal: {first.description}",
    )
    audit_log.record_transaction(session, account, "account.reversed", posted, by=by, now=now)
    allocation.update_invoices(session, account, posted, now)
    return queries.show_transaction(posted, account.currency, staff=True)


def _note_reversed(session: Session, account: Account, first: Entry) -> None:
    payment = queries.get_payment(session, account.organization_id, str(first.payment_id))
    payment.status = "reversed"


def _transfers(session: Session, account: Account, rows: Sequence[Entry]) -> list[Transfer]:
    """What reverses the transaction.

    An account that has become prepaid has no open invoices; there, money is taken from the wallet.
    """
    transfers: list[Transfer] = []
    for row in rows:
        if {row.debit, row.credit} == {Code.SURPLUS, Code.INVOICED}:
            continue  # where the money is now says its source
        if account.payment_mode != PREPAID and row.credit in (Code.SURPLUS, Code.PREPAID):
            transfers += _take_back(session, row)
        elif account.payment_mode != PREPAID and row.debit == Code.SURPLUS:
            transfers += _give_back(session, row)
        else:
            transfers += _mirror(account, row)
    return transfers


def _take_back(session: Session, row: Entry) -> list[Transfer]:
    """Take what the row brought: what is unassigned of it and what it has paid, also after changes
    of payment mode. The rest was spent or withdrawn, and is owed again."""
    destination, where = Code(row.debit), queries.whereabouts(session, row)
    transfers: list[Transfer] = []
    left, moved = row.amount, where.moved
    if where.own is not None:
        transfers += _take_from(session, where.own, left, destination)
        left -= _taken(transfers)
    for source in where.later:
        taken = _take_from(session, source, min(moved, left), destination)
        left, moved = left - _taken(taken), moved - _taken(taken)
        transfers += taken
    if left:
        transfers.append(Transfer(Code.UNBILLED, destination, left))
    return transfers


def _taken(transfers: Sequence[Transfer]) -> int:
    return sum(each.amount for each in transfers if each.debit == Code.SURPLUS)


def _take_from(session: Session, source: Source, most: int, destination: Code) -> list[Transfer]:
    """First what is unassigned of the source, then what it has paid."""
    source_id = source.transaction_id
    taken, returned = min(source.unassigned, most), {}
    paid = allocation.allocated(session, source.organization_id, source_id)
    for invoice_id, amount in paid.items():
        if part := min(amount, most - taken):
            returned[invoice_id] = part
            taken += part
    if not taken:
        return []
    return [
        *allocation.deallocate(source_id, returned),
        Transfer(Code.SURPLUS, destination, taken, None, source_id),
    ]


def _give_back(session: Session, row: Entry) -> list[Transfer]:
    """Return what the row took to the sources that it came from, unless they were reversed."""
    organization_id = row.organization_id
    transfers = []
    for source_id, amount in queries.taken_by(session, organization_id, row.seq):
        is_gone = queries.refunded_or_reversed(session, organization_id, source_id) is not None
        named = None if is_gone else source_id
        transfers.append(Transfer(Code(row.credit), Code.SURPLUS, amount, None, named))
    return transfers


def _mirror(account: Account, row: Entry) -> list[Transfer]:
    """The row with debit and credit swapped."""
    source, destination = Code(row.credit), Code(row.debit)
    if source in _BUCKETS:
        bucket = _current_bucket(account, source)
        invoice_id = row.invoice_id if bucket == source else None
        return [Transfer(bucket, destination, row.amount, invoice_id)]
    if destination == Code.UNBILLED:
        # Less may be unbilled by now than was taken from it.
        return adjustments.credit_customer(account, source, row.amount)
    return [Transfer(source, _current_bucket(account, destination), row.amount)]


def _current_bucket(account: Account, bucket: Code) -> Code:
    """The bucket that corresponds to this one in the current payment mode."""
    if account.payment_mode == PREPAID:
        return Code.PREPAID
    return Code.SURPLUS if bucket == Code.PREPAID else bucket
