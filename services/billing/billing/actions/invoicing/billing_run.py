"""The billing run: invoicing months that have ended, and flagging overdue invoices."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from chassis.auth.actor import SYSTEM
from chassis.db.bulk_sql import update_rows
from chassis.messaging import outbox
from chassis.runtime import ids
from contracts import billing as messages
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import notifications
from billing.actions.invoicing import invoices
from billing.actions.invoicing.invoices import Issue
from billing.models import Account, Provider
from billing.models.drafts import Customer, Range, Supplies, TaxTerms, month_range, tax_terms
from billing.values import SEALED, format_money, month_end

_ACCOUNTS: Any = Account.__table__
# An account whose month has ended, with its columns ``READ``.
_Due = tuple[Customer, dict[str, Any]]


class _Facts(NamedTuple):
    """What is read of a block of accounts: by organization, what is to be invoiced and what its
    lines add up to; and their providers by id."""

    ranges: Mapping[str, Range]
    supplies: Mapping[str, Supplies]
    sellers: Mapping[str, Provider]


def run_billing(
    session: Session, *, organization_ids: Collection[str], now: datetime
) -> tuple[int, dict[str, Exception]]:
    """Invoice what these accounts have unbilled from months that have ended; returns for how many
    that was done, and by organization why others could not be invoiced, which are left as they are.

    An account gets one invoice for all its ended months, up to the end of the last one in its time
    zone. Accounts that are locked elsewhere are skipped. The number of statements does not depend
    on that of the accounts.
    """
    due = queries.accounts_to_bill(session, organization_ids, now)
    facts, failed = _read_facts(session, [each for each in due if each[1]["unbilled"]], now)
    issues, month_ends, others = [], [], []
    for customer, columns in due:
        if customer.organization_id in failed:
            continue
        try:
            ends_at = month_end(now, customer.timezone)
            issue = _issue(customer, columns, facts, now)
        except Exception as why:
            failed[customer.organization_id] = why
            continue
        if issue is not None:
            issues.append(issue)
            month_ends.append(ends_at)
        else:
            uuid = ids.to_uuid("org", customer.organization_id)
            others.append((uuid, None if columns["status"] == SEALED else ends_at))
    invoices.write(session, issues, now=now, by=SYSTEM, month_ends=month_ends)
    if others:
        update_rows(session, _ACCOUNTS, "organization_id", ("month_ends_at",), others)
    return len(issues) + len(others), failed


def _read_facts(
    session: Session, due: Sequence[_Due], now: datetime
) -> tuple[_Facts, dict[str, Exception]]:
    """Also returns by organization what its data led to, if that prevents its invoice."""
    failed: dict[str, Exception] = {}
    if not due:
        return _Facts({}, {}, {}), failed
    customers = [customer for customer, _ in due]
    ends = queries.month_ends(session, customers, now)
    periods = queries.last_periods(session, [each.organization_id for each in customers])
    sellers = queries.sellers(session, {customer.provider_id for customer in customers})
    ranges: dict[str, Range] = {}
    terms: dict[str, TaxTerms] = {}
    for customer, columns in due:
        organization_id = customer.organization_id
        end, period = ends.get(organization_id), periods.get(organization_id)
        if end is None or not end.unbilled:
            continue
        try:
            covered = month_range(customer, columns["seq"], columns["unbilled"], end, period, now)
            terms[organization_id] = tax_terms(customer, sellers[customer.provider_id])
        except Exception as why:
            failed[organization_id] = why
            continue
        ranges[organization_id] = covered
    return _Facts(ranges, invoices.supplies_of(session, ranges, terms), sellers), failed


def _issue(
    customer: Customer, columns: Mapping[str, Any], facts: _Facts, now: datetime
) -> Issue | None:
    """The account's invoice, or None if it has nothing to invoice from ended months. Raises what
    its data leads to."""
    covered = facts.ranges.get(customer.organization_id)
    if covered is None:
        return None
    seller = facts.sellers[customer.provider_id]
    snapshot = invoices.snapshot_of(customer, seller, list(columns.values()), now)
    supplies = facts.supplies[customer.organization_id]
    return invoices.prepare(customer, snapshot, seller, covered, supplies, now=now, by=SYSTEM)


def flag_overdue_invoices(session: Session, *, now: datetime, limit: int = 100) -> int:
    """Publish each invoice that has become overdue, once, and the balances; returns how many."""
    overdue = queries.newly_overdue(session, now, limit)
    for account, invoice in overdue:
        invoice.overdue_at = now
        outbox.publish(
            session,
            messages.InvoiceOverdue(
                organization_id=account.organization_id,
                provider_id=account.provider_id,
                invoice_id=invoice.id,
                number=invoice.number,
                currency=invoice.currency,
                open=format_money(invoice.open, invoice.currency),
                due_on=invoice.due_on.isoformat(),
            ),
        )
    accounts = {account.organization_id: account for account, _ in overdue}
    notifications.publish_balance(session, *accounts.values(), now=now)
    return len(overdue)
