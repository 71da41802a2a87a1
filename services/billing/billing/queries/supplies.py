"""What an invoice covers: the rows of the journal that are its lines, by the taxes on them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID

from chassis.db.bulk_sql import given_rows
from chassis.db.columns import BigInt, Id, Instant
from chassis.runtime import ids
from sqlalchemy import ColumnElement, Date, Integer, and_, case, func, or_, select, text
from sqlalchemy.orm import Session

from billing.models import Entry, Invoice
from billing.models.drafts import Supplies, TaxTerms
from billing.models.taxes import Rates
from billing.values import SUPPLY_KINDS, UNIT, Code, day_start, local_day

_RARE = "journal.part = 0 AND journal.kind <> 'usage'"
_LAST_DAY = date(9999, 12, 30)
_ADDS, _TAKES = Entry.debit == Code.UNBILLED, Entry.credit == Code.UNBILLED
SIGNED = case((_ADDS, Entry.amount), else_=-Entry.amount)
IS_LINE = or_(_ADDS, _TAKES)


class Span(NamedTuple):
    """Rows of a journal whose lines are on one invoice. ``invoice_id``: of an individual invoice,
    which covers the rows that carry its id; a regular one covers those without any."""

    organization_id: str
    from_seq: int
    to_seq: int
    invoice_id: str | None = None

    @classmethod
    def of(cls, invoice: Any) -> "Span":
        """The span of an invoice or a draft."""
        invoice_id = None if invoice.is_regular else invoice.id
        return cls(invoice.organization_id, invoice.from_seq, invoice.to_seq, invoice_id)

    @property
    def condition(self) -> ColumnElement[bool]:
        """Whether a row of the journal is one of its lines."""
        named = Entry.invoice_id
        return and_(
            Entry.organization_id == self.organization_id,
            Entry.seq.between(self.from_seq, self.to_seq),
            named.is_(None) if self.invoice_id is None else named == self.invoice_id,
            IS_LINE,
        )


def with_voided(session: Session, spans: Collection[Span]) -> list[Span]:
    """The spans, and those of the voided invoices whose lines they contain, also through others
    that were voided later."""
    all_spans = list(spans)
    new = [span for span in spans if span.invoice_id is None]
    while new:
        given = given_rows(session, "given", _SPAN, [_stored(span)[:3] for span in new])
        voided = session.execute(
            select(Invoice)
            .join(
                Entry,
                and_(
                    Entry.organization_id == Invoice.organization_id,
                    Entry.invoice_id == Invoice.id,
                ),
            )
            .join(
                given,
                and_(
                    Entry.organization_id == given.c.organization_id,
                    Entry.seq.between(given.c.from_seq, given.c.to_seq),
                ),
            )
            .where(text(_RARE), Entry.kind == "void")
            .order_by(Invoice.organization_id, Invoice.from_seq)
        )
        new = [Span.of(invoice) for (invoice,) in voided]
        all_spans += new
        new = [span for span in new if span.invoice_id is None]
    return all_spans


def supplies(
    session: Session, spans: Collection[Span], terms: Mapping[str, TaxTerms]
) -> dict[str, Supplies]:
    """By organization, what the lines of these spans add up to by the taxes on them, in three
    statements, or more if voided invoices contain others. ``terms``: by organization."""
    all_spans = with_voided(session, spans)
    given = given_rows(session, "given", _PERIOD, list(_periods_of(all_spans, terms)))
    moment, day = Entry.occurred_at, Entry.supplied_on
    is_supply = Entry.kind.in_(SUPPLY_KINDS).label("is_supply")
    rows = session.execute(
        select(
            given.c.organization_id,
            given.c.period,
            is_supply,
            func.sum(SIGNED // UNIT).label("units"),
            func.sum(SIGNED % UNIT).label("millionths"),
            func.min(moment).filter(day.is_(None)).label("first_at"),
            func.max(moment).filter(day.is_(None)).label("last_at"),
            func.min(day).label("first_on"),
            func.max(day).label("last_on"),
        )
        .join(Entry, Entry.organization_id == given.c.organization_id)
        .where(
            Entry.seq.between(given.c.from_seq, given.c.to_seq),
            Entry.invoice_id.is_not_distinct_from(given.c.invoice_id),
            IS_LINE,
            or_(
                and_(day.is_(None), moment >= given.c.from_at, moment < given.c.until_at),
                and_(day >= given.c.from_on, day < given.c.until_on),
            ),
        )
        .group_by(given.c.organization_id, given.c.period, is_supply)
    )
    return _summed(rows, terms)


def _summed(rows: Iterable[Any], terms: Mapping[str, TaxTerms]) -> dict[str, Supplies]:
    total: dict[str, int] = defaultdict(int)
    gross: dict[str, dict[Rates, int]] = defaultdict(lambda: defaultdict(int))
    days: dict[str, list[date]] = defaultdict(list)
    for row in rows:
        organization_id, amount = row.organization_id, int(row.units) * UNIT + int(row.millionths)
        own = terms[organization_id]
        total[organization_id] += amount
        if not row.is_supply:
            continue
        gross[organization_id][own.periods[row.period].rates] += amount
        instants = (at for at in (row.first_at, row.last_at) if at is not None)
        days[organization_id] += (local_day(at, own.timezone) for at in instants)
        days[organization_id] += (day for day in (row.first_on, row.last_on) if day is not None)
    return {
        organization_id: Supplies(amount, gross[organization_id], tuple(days[organization_id]))
        for organization_id, amount in total.items()
    }


_SPAN = {"organization_id": Id("org"), "from_seq": BigInt, "to_seq": BigInt}
_PERIOD = {
    **_SPAN,
    "invoice_id": Id("inv"),
    "period": Integer,
    "from_at": Instant,
    "until_at": Instant,
    "from_on": Date,
    "until_on": Date,
}


def _periods_of(spans: Iterable[Span], terms: Mapping[str, TaxTerms]) -> Iterable[Sequence[Any]]:
    """Each span with each period of the taxes on its lines."""
    for span in spans:
        periods, zone = terms[span.organization_id].periods, terms[span.organization_id].timezone
        days = [period.first_day for period in periods]
        bounds = [(day_start(day, zone), day) for day in [*days, _LAST_DAY]]
        for number, ((from_at, from_on), (until_at, until_on)) in enumerate(pairwise(bounds)):
            yield (*_stored(span), number, from_at, until_at, from_on, until_on)


def _stored(span: Span) -> tuple[UUID, int, int, UUID | None]:
    organization_id, from_seq, to_seq, invoice_id = span
    named = None if invoice_id is None else ids.to_uuid("inv", invoice_id)
    return ids.to_uuid("org", organization_id), from_seq, to_seq, named
