"""What org keeps of the other services' data, for the list of customers."""

from datetime import datetime

from contracts import billing, membership
from sqlalchemy.orm import Session

from org import queries, values


def update_balance(session: Session, *, message: billing.BalanceChanged) -> None:
    """Keep billing's figures, unless newer ones are known."""
    organization = queries.organization(session, message.organization_id, lock=True)
    as_of = datetime.fromisoformat(message.as_of)
    if organization.as_of is not None and as_of < organization.as_of:
        return
    organization.usable_credits = message.usable_credits
    organization.usable_units = values.micro_units(message.usable_credits)
    organization.balance = message.balance
    organization.limit_now = message.credit_limit
    organization.amount_due = message.amount_due
    organization.payment_mode = message.payment_mode
    organization.days_to_empty = (
        values.NEVER_EMPTY if message.days_to_empty is None else message.days_to_empty
    )
    organization.as_of = as_of


def update_members(session: Session, *, message: membership.MembersChanged) -> None:
    """Keep membership's counts and the owner, unless the organization is deleted."""
    organization = queries.organization(session, message.organization_id, lock=True)
    if organization.status == values.DELETED:
        return
    organization.members = message.members
    organization.admins = message.admins
    organization.owner = vars(message.owner)
    organization.index_for_search()
