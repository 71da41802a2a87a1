"""What billing stores of organizations, for comparison with what org stores."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chassis.runtime import clock
from contracts.billing import AccountState
from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.models import Account, Provider
from billing.queries.overdue import Overdue, overdue
from billing.values import format_money


@dataclass(frozen=True)
class State:
    """``account``: None if there is none. ``settings_version``: of a provider, otherwise 0."""

    account: AccountState | None = None
    settings_version: int = 0


@dataclass(frozen=True)
class StatePage:
    """States by organization, in the order of their ids. It contains every organization up to
    ``until``; None: there are no more."""

    states: dict[str, State]
    until: str | None


def states(session: Session, *, after: str | None, limit: int) -> StatePage:
    """The page after this organization."""
    accounts = select(Account).order_by(Account.organization_id).limit(limit)
    providers = select(Provider.id, Provider.settings_version).order_by(Provider.id).limit(limit)
    if after is not None:
        accounts = accounts.where(Account.organization_id > after)
        providers = providers.where(Provider.id > after)
    page = {
        organization_id: State(account)
        for organization_id, account in _account_states(session, session.scalars(accounts).all())
    }
    versions = {id_: State(settings_version=version) for id_, version in session.execute(providers)}
    until = min((max(part) for part in (page, versions) if len(part) == limit), default=None)
    complete = {
        id_: state
        for id_, state in sorted((versions | page).items())
        if until is None or id_ <= until
    }
    return StatePage(complete, until)


def state(session: Session, organization_id: str) -> State:
    """That of one organization."""
    account = session.get(Account, organization_id)
    provider = session.get(Provider, organization_id)
    return State(
        account=dict(_account_states(session, [account]))[organization_id] if account else None,
        settings_version=provider.settings_version if provider else 0,
    )


def _account_states(
    session: Session, accounts: Sequence[Account]
) -> Iterator[tuple[str, AccountState]]:
    owed = overdue(session, accounts)
    for account in accounts:
        organization_id = account.organization_id
        yield organization_id, _account_state(account, owed.get(organization_id))


def _account_state(account: Account, owed: Overdue | None) -> AccountState:
    """The account as it was last published, unless a change of its buckets is still unpublished."""
    as_of = account.balance_published_at
    figures = account.figures(as_of or account.opened_at)
    return AccountState(
        status=account.status,
        payment_mode=account.payment_mode,
        usable_credits=format_money(figures.usable, account.currency),
        balance=format_money(figures.balance, account.currency),
        credit_limit=format_money(figures.limit, account.currency),
        amount_due=format_money(figures.amount_due, account.currency),
        overdue_amount=format_money(owed.amount, account.currency) if owed else None,
        oldest_due_on=owed.oldest_due_on.isoformat() if owed else None,
        days_to_empty=account.published_days_to_empty,
        as_of=clock.stamp(as_of) if as_of else None,
    )
