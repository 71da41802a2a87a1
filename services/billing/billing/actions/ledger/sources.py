"""Noting which source each change of the surplus concerns, under the account's lock.

A transfer that adds to the surplus makes its transaction a source, unless it gives back to the one
that it names. One that takes from it takes
from the source that it names, else from the oldest ones that have something unassigned. One that
returns what an invoice was paid gives it back to the source that it names, else to those that paid
last.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from chassis.runtime import ids
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.ledger.entries import Posted
from billing.models import Allocation, Source
from billing.models.allocation import UNASSIGNED_ONLY
from billing.models.journal import Row
from billing.values import OWN, Code, Transfer


def note_all(session: Session, posted: Iterable[Posted], *, payment_id: str | None = None) -> None:
    """Note the effects of what was posted. ``payment_id``: the payment that it records."""
    touching = {_organization_of(each): each for each in posted if _touches_surplus(each)}
    if not touching:
        return
    unassigned: dict[str, list[Source]] = defaultdict(list)
    query = select(Source).where(Source.organization_id.in_(touching), text(UNASSIGNED_ONLY))
    for source in session.scalars(query):
        unassigned[source.organization_id].append(source)
    for organization_id, each in touching.items():
        books = _Sources(session, organization_id, each, unassigned[organization_id], payment_id)
        for row, transfer in zip(each.rows, each.posting.transfers, strict=True):
            books.note(row, transfer)


def _touches_surplus(posted: Posted) -> bool:
    return any(
        Code.SURPLUS in (transfer.debit, transfer.credit) for transfer in posted.posting.transfers
    )


def _organization_of(posted: Posted) -> str:
    return ids.of_uuid("org", posted.snapshot.id)


class _Sources:
    """The sources of an account while one transaction is noted. ``unassigned``: all that have
    something unassigned."""

    def __init__(
        self,
        session: Session,
        organization_id: str,
        posted: Posted,
        unassigned: Sequence[Source],
        payment_id: str | None,
    ) -> None:
        self._session, self._organization_id = session, organization_id
        self._own_id = ids.of_uuid("txn", posted.rows[0].transaction_id)
        self._kind, self._payment_id = posted.posting.kind, payment_id
        self._known = {source.transaction_id: source for source in unassigned}

    def note(self, row: Row, transfer: Transfer) -> None:
        """Note one of its transfers, each in its turn."""
        if transfer.debit == Code.SURPLUS:
            self._take(row, transfer)
        elif transfer.credit != Code.SURPLUS:
            return
        elif transfer.debit == Code.INVOICED or transfer.source_id is not None:
            self._give_back(row, transfer)
        else:
            self._add(row)

    def _take(self, row: Row, transfer: Transfer) -> None:
        sources = sorted(self._known.values(), key=lambda source: source.seq)
        if transfer.source_id is not None:
            sources = [self._source(transfer.source_id)]
        self._move(row, transfer, [(source, source.unassigned) for source in sources], 1)

    def _give_back(self, row: Row, transfer: Transfer) -> None:
        if transfer.source_id is not None:
            parts = [(self._source(transfer.source_id), row.amount)]
        else:
            shares = queries.shares_of_invoice(
                self._session, self._organization_id, str(transfer.invoice_id)
            )
            parts = [(self._source(source_id), amount) for source_id, amount in shares]
        self._move(row, transfer, parts, -1)

    def _add(self, row: Row) -> None:
        own = self._known.get(self._own_id)
        if own is None:
            own = self._known[self._own_id] = Source(
                organization_id=self._organization_id,
                transaction_id=self._own_id,
                seq=row.seq,
                kind=self._kind,
                payment_id=self._payment_id,
                amount=0,
                unassigned=0,
            )
            self._session.add(own)
        own.amount += row.amount
        own.unassigned += row.amount

    def _move(
        self, row: Row, transfer: Transfer, parts: Iterable[tuple[Source, int]], sign: int
    ) -> None:
        """Take the row's amount from these parts of sources, in their order, or give it back."""
        left = row.amount
        for source, available in parts:
            amount = min(left, available)
            if amount:
                left -= amount
                source.unassigned -= sign * amount
                self._session.add(
                    Allocation(
                        organization_id=self._organization_id,
                        seq=row.seq,
                        source_id=source.transaction_id,
                        invoice_id=transfer.invoice_id,
                        amount=sign * amount,
                        posted_at=row.posted_at,
                    )
                )
        if left:
            raise RuntimeError(f"{left} of the surplus of {self._organization_id} has no source")

    def _source(self, source_id: str) -> Source:
        source_id = self._own_id if source_id == OWN else source_id
        if source_id not in self._known:
            key = (self._organization_id, source_id)
            self._known[source_id] = self._session.get_one(Source, key)
        return self._known[source_id]
