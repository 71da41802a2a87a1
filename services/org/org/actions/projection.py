"""What org keeps of the other services' data, for the list of customers."""

from datetime import datetime

from contracts import membership
from sqlalchemy.orm import Session

from org import queries, values


def update_balance(
    session: Session,
    *,
    organization_id: str,
    payment_mode: str,
    usable_credits: str,
    balance: str,
    credit_limit: str,
    amount_due: str,
    days_to_empty: int | None,
    as_of: str,
) -> None:
    """Keep billing's figures, unless newer ones are known."""
    organization = queries.organization(session, organization_id, lock=True)
    known_at = datetime.fromisoformat(as_of)
    if organization.as_of is not None and known_at < organization.as_of:
        return
    organization.usable_credits = usable_credits
    organization.usable_units = values.micro_units(usable_credits)
    organization.balance = balance
    organization.limit_now = credit_limit
    organization.amount_due = amount_due
    organization.payment_mode = payment_mode
    organization.days_to_empty = values.NEVER_EMPTY if days_to_empty is None else days_to_empty
    organization.as_of = known_at


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
