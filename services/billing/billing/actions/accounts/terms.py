"""Opening accounts, changing their terms, freezing and reopening them."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from chassis import audit
from chassis.auth.actor import SYSTEM, Actor
from chassis.errors import Conflict, invalid
from chassis.messaging import outbox
from contracts import billing as said
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import alerts, payment_methods
from billing.actions.ledger import posting
from billing.models import Account, Provider
from billing.values import FROZEN, OPEN, POSTPAID, SEALED, Code, Transfer, format_money, month_end


class CreditLimitRequired(Conflict):
    code = "credit_limit_required"
    detail = (
        "A postpaid account needs a credit limit. Set a credit limit above zero first, or send one "
        "with this request."
    )


class OpenAmounts(Conflict):
    code = "open_amounts"
    detail = (
        "The account has unbilled charges or unpaid invoices. Invoice and settle them before "
        "switching to prepaid."
    )


def open_account(
    session: Session,
    *,
    organization_id: str,
    provider_id: str,
    name: str,
    country: str,
    currency: str,
    timezone: str,
    payment_mode: str,
    credit_limit: int,
    billing: dict[str, Any],
    buyer_tags: dict[str, Any],
    now: datetime,
) -> None:
    """Open the account of a new customer and say so; say it again if there is one already."""
    if session.get(Account, organization_id) is None:
        account = Account(
            organization_id=organization_id,
            provider_id=provider_id,
            name=name,
            country=country,
            currency=currency,
            timezone=timezone,
            payment_mode=payment_mode,
            status=OPEN,
            credit_limit=credit_limit,
            prepaid=0,
            surplus=0,
            unbilled=0,
            invoiced=0,
            held=0,
            in_flight=0,
            seq=0,
            on_wallet=0,
            auto_enabled=False,
            billing=billing,
            buyer_tags=buyer_tags,
            opened_at=now,
            month_ends_at=month_end(now, timezone) if payment_mode == POSTPAID else None,
        )
        session.add(account)
        session.flush()
        posting.record(session, account, "account.opened", by=SYSTEM, now=now)
        posting.publish_balance(session, account, now)
    outbox.publish(session, said.AccountOpened(organization_id=organization_id))


def copy_organization(
    session: Session,
    *,
    organization_id: str,
    name: str,
    billing: dict[str, Any],
    buyer_tags: dict[str, Any],
) -> None:
    """Take over what invoices print; of a provider, its name and address. Raises NoAccount."""
    provider = session.get(Provider, organization_id, with_for_update=True)
    if provider is not None:
        provider.name, provider.billing = name, billing
        return
    account = queries.get_account(session, organization_id, lock=True)
    account.name, account.billing, account.buyer_tags = name, billing, buyer_tags


def freeze_account(session: Session, *, organization_id: str, now: datetime) -> None:
    """Charge nothing from now on; money still comes and goes. Only an open account freezes. Raises
    NoAccount."""
    account = queries.get_account(session, organization_id, lock=True)
    if account.status == OPEN:
        account.status = FROZEN
        posting.publish_balance(session, account, now)


def reopen_account(
    session: Session, *, organization_id: str, conversation_id: str, frozen: bool, now: datetime
) -> None:
    """Take entries again and say so, again if need be. ``frozen``: charges stay refused. An account
    closed for good stays closed and nothing is said. Raises NoAccount."""
    account = queries.get_account(session, organization_id, lock=True)
    if account.status == SEALED:
        return
    before, account.status = account.status, FROZEN if frozen else OPEN
    if before != account.status:
        account.closed_from = account.closed_at = None
        posting.record(
            session,
            account,
            "account.reopened",
            by=SYSTEM,
            now=now,
            changes=[{"field": "status", "before": before, "after": account.status}],
        )
        alerts.check_thresholds(session, account, account.figures(now).usable, now)
        posting.publish_balance(session, account, now)
    outbox.publish(
        session,
        said.AccountReopened(organization_id=organization_id, conversation_id=conversation_id),
    )


def change_account(
    session: Session,
    *,
    organization_id: str,
    patch: dict[str, Any],
    check: Callable[[Any], None],
    now: datetime,
    by: Actor,
) -> dict[str, Any]:
    """Apply a patch of payment mode, limit and automatic top-up; the account as shown. ``check`` is
    handed what the patch is about as it stands and raises when the caller thought otherwise.

    Raises NoAccount, AccountClosed, CreditLimitRequired, OpenAmounts, PaymentMethodMissing,
    AmountTooLarge, Invalid."""
    account = posting.lock_account(session, organization_id)
    if alerts.expire_credit_limit(session, account, now):
        posting.publish_balance_soon(session, account)
    check(queries.patchable(account, now))
    before, usable = _terms(account, now), account.figures(now).usable
    _change_limit(account, patch, now)
    _change_mode(session, account, patch.get("payment_mode", account.payment_mode), now)
    _change_auto_top_up(account, patch.get("auto_top_up", {}))
    posting.check_range(account, now)
    alerts.check_thresholds(session, account, usable, now)
    after = _terms(account, now)
    changes = [
        {"field": name, "before": before[name], "after": after[name]}
        for name in after
        if before[name] != after[name]
    ]
    if changes:
        posting.record(session, account, _name(changes), by=by, now=now, changes=changes)
        posting.publish_balance(session, account, now)
    return {
        **queries.show_account(session, account, now),
        "patchable": queries.patchable(account, now),
    }


def expire_credit_limits(session: Session, *, now: datetime, most: int = 100) -> int:
    """Forget temporary limits that have ended and say the figures they leave; answers how many.

    The limit itself ended by the clock; this only tells those who do not look at it."""
    ended = queries.accounts_with_ended_limits(session, now, most)
    for account in ended:
        alerts.expire_credit_limit(session, account, now)
        posting.publish_balance(session, account, now)
    return len(ended)


def recount_days_to_empty(session: Session, *, now: datetime, most: int = 25) -> int:
    """Count the days to empty of accounts on which nothing has been said since yesterday, and say
    the figures where the days have changed; answers how many were counted."""
    uncounted = queries.accounts_to_recount(session, now, most)
    for account in uncounted:
        if queries.days_to_empty(session, account, now) != account.published_days_to_empty:
            posting.publish_balance(session, account, now)
        posting.schedule_recount(account, now)
    return len(uncounted)


def record_denial(
    session: Session, *, organization_id: str, operation: str, by: Actor, now: datetime
) -> None:
    """Note that somebody tried what they may not do."""
    provider_id = queries.provider_of(session, organization_id)
    if provider_id is None and session.get(Provider, organization_id) is not None:
        provider_id = organization_id
    if provider_id is not None and not audit.denied_recently(
        session, organization_id, operation, by=by, now=now
    ):
        audit.record(
            session,
            said.AuditRecorded,
            organization_id=organization_id,
            provider_id=provider_id,
            action=operation,
            by=by,
            now=now,
            outcome="denied",
            target={"type": "account", "id": organization_id, "label": ""},
        )


def _change_limit(account: Account, patch: dict[str, Any], now: datetime) -> None:
    """A limit patched with an end, or while it has one, is temporary; without an end it is the
    permanent one."""
    if "credit_limit" not in patch and "credit_limit_expires_at" not in patch:
        return
    ends = patch.get("credit_limit_expires_at", account.temporary_limit_ends(now))
    if ends is not None and ends <= now:
        raise invalid("/credit_limit_expires_at", "past", "Must be in the future.")
    account.set_limit(patch.get("credit_limit", account.limit_at(now)), ends)


def _change_mode(session: Session, account: Account, mode: str, now: datetime) -> None:
    if mode == account.payment_mode:
        return
    if mode == POSTPAID and not account.limit_at(now):
        raise CreditLimitRequired()
    if mode != POSTPAID and (account.unbilled or account.invoiced):
        raise OpenAmounts(
            unbilled=format_money(account.unbilled, account.currency),
            due=format_money(account.invoiced, account.currency),
        )
    transfers = _moves(account)
    account.payment_mode = mode
    account.month_ends_at = month_end(now, account.timezone) if mode == POSTPAID else None
    if transfers:
        posting.post(
            session,
            account,
            transfers,
            kind="mode_change",
            now=now,
            description=f"Changed to {mode}",
        )


def _moves(account: Account) -> list[Transfer]:
    """From prepaid, money becomes surplus and debt becomes unbilled; back, surplus becomes the
    wallet."""
    if account.payment_mode == POSTPAID:
        return [Transfer(Code.SURPLUS, Code.PREPAID, account.surplus)] if account.surplus else []
    if account.prepaid > 0:
        return [Transfer(Code.PREPAID, Code.SURPLUS, account.prepaid)]
    return [Transfer(Code.UNBILLED, Code.PREPAID, -account.prepaid)] if account.prepaid else []


def _change_auto_top_up(account: Account, patch: dict[str, Any]) -> None:
    for name, value in patch.items():
        setattr(account, f"auto_{name}", value)
    if account.auto_enabled and patch:
        for name in ("amount", "method"):
            if getattr(account, f"auto_{name}") is None:
                raise invalid(
                    f"/auto_top_up/{name}",
                    "required",
                    "An automatic top-up needs an amount and a method.",
                )
        payment_methods.check(account, str(account.auto_method))


def _terms(account: Account, now: datetime) -> dict[str, Any]:
    ends = account.temporary_limit_ends(now)

    def amount(value: int | None) -> str | None:
        return None if value is None else format_money(value, account.currency)

    return {
        "payment_mode": account.payment_mode,
        "credit_limit": amount(account.limit_at(now)),
        "credit_limit_expires_at": ends.isoformat() if ends else None,
        "auto_top_up.enabled": account.auto_enabled,
        "auto_top_up.threshold": amount(account.auto_threshold),
        "auto_top_up.amount": amount(account.auto_amount),
        "auto_top_up.method": account.auto_method,
    }


def _name(changes: list[dict[str, Any]]) -> str:
    """The action an audit row shows: the weightiest of what changed."""
    fields = {change["field"] for change in changes}
    if "payment_mode" in fields:
        return "account.payment_mode_changed"
    if fields & {"credit_limit", "credit_limit_expires_at"}:
        return "account.credit_limit_changed"
    return "account.auto_top_up_changed"
