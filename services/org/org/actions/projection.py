"""What org keeps of the other services' data, for the list of customers."""

from collections.abc import Sequence
from datetime import date, datetime

from contracts import billing, membership
from sqlalchemy.orm import Session

from org import queries, values
from org.models import Organization


def update_balances(session: Session, figures: Sequence[billing.BalanceChanged]) -> None:
    """Keep billing's figures of these organizations, unless newer ones are known. Raises
    NotFound."""
    organizations = queries.lock_organizations(session, {new.organization_id for new in figures})
    for new in figures:
        _keep_figures(organizations[new.organization_id], new)


def _keep_figures(organization: Organization, new: billing.BalanceChanged) -> None:
    known_at = datetime.fromisoformat(new.as_of)
    if organization.as_of is not None and known_at < organization.as_of:
        return
    organization.usable_credits = new.usable_credits
    organization.usable_units = values.micro_units(new.usable_credits)
    organization.balance = new.balance
    failed_at = organization.failed_top_up_units
    has_risen = failed_at is not None and organization.usable_units > failed_at
    if has_risen or new.top_up_needed is False:
        organization.failed_top_up_units = None
    organization.limit_now = new.credit_limit
    organization.limit_units = values.micro_units(new.credit_limit)
    organization.amount_due = new.amount_due
    organization.overdue_amount = new.overdue_amount
    due_on = new.oldest_due_on
    organization.oldest_due_on = None if due_on is None else date.fromisoformat(due_on)
    organization.payment_mode = new.payment_mode
    days = new.days_to_empty
    organization.days_to_empty = values.NEVER_EMPTY if days is None else days
    organization.as_of = known_at


def note_failed_top_up(session: Session, *, organization_id: str, usable_credits: str) -> None:
    """An automatic top-up failed. Raises NotFound."""
    organization = queries.organization(session, organization_id, lock=True)
    organization.failed_top_up_units = values.micro_units(usable_credits)


def update_members(
    session: Session, *, organization_id: str, members: int, admins: int, owner: membership.Owner
) -> None:
    """Keep membership's counts and the owner, unless the organization is deleted."""
    organization = queries.organization(session, organization_id, lock=True)
    if organization.status == values.DELETED:
        return
    organization.members = members
    organization.admins = admins
    organization.owner = vars(owner)
    organization.index_for_search()
