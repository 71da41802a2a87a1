"""What accounts owe on invoices past their due date."""

from collections.abc import Collection
from datetime import date
from typing import NamedTuple

from sqlalchemy import func, literal_column, select
from sqlalchemy.orm import Session

from billing.models import Account, Invoice
from billing.values import AWAITING


class Overdue(NamedTuple):
    """``amount``: what is open on overdue invoices; ``oldest_due_on``: the earliest due date."""

    amount: int
    oldest_due_on: date


def overdue(session: Session, accounts: Collection[Account]) -> dict[str, Overdue]:
    """Of those of the accounts that have overdue invoices, as of their published balance."""
    owing = [account.organization_id for account in accounts if account.invoiced]
    if not owing:
        return {}
    open_amount = func.sum(Invoice.total - Invoice.paid - Invoice.credited)
    rows = session.execute(
        select(Invoice.organization_id, open_amount, func.min(Invoice.due_on))
        .join(Account, Account.organization_id == Invoice.organization_id)
        .where(
            Invoice.organization_id.in_(owing),
            # Written out, as in the condition of the index.
            Invoice.status == literal_column(f"'{AWAITING}'"),
            Invoice.due_until <= Account.balance_published_at,
        )
        .group_by(Invoice.organization_id)
    )
    return {
        organization_id: Overdue(int(amount), due_on) for organization_id, amount, due_on in rows
    }
