"""What billing stores of organizations, for comparison with what org stores."""

from dataclasses import dataclass

from chassis.runtime import clock
from contracts.billing import AccountState
from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.models import Account, Provider
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
    page = {row.organization_id: State(_account_state(row)) for row in session.scalars(accounts)}
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
        account=_account_state(account) if account else None,
        settings_version=provider.settings_version if provider else 0,
    )


def _account_state(account: Account) -> AccountState:
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
        days_to_empty=account.published_days_to_empty,
        as_of=clock.stamp(as_of) if as_of else None,
    )
