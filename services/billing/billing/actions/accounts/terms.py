"""Changing an account's payment mode, credit limit and automatic top-ups."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from chassis.errors import Conflict, invalid
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import alerts, audit_log, notifications, payment_methods
from billing.actions.ledger import posting
from billing.models import Account
from billing.values import POSTPAID, PREPAID, Code, Transfer, format_money, month_end


class CreditLimitRequired(Conflict):
    code = "credit_limit_required"
    detail = (
        "A postpaid account needs a credit limit. Set a credit limit above zero first, or send one "
        "with this request."
    )


class PrepaidOnly(Conflict):
    code = "prepaid_only"
    detail = "Automatic top-ups are for prepaid accounts. Switch the account to prepaid first."


class OpenAmounts(Conflict):
    code = "open_amounts"
    detail = (
        "The account has unbilled charges or unpaid invoices. Invoice and settle them before "
        "switching to prepaid."
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
    """Change payment mode, limit and automatic top-up; returns the account as shown.

    Switching to postpaid turns automatic top-ups off. ``check`` gets the current values and raises
    if the caller expected others. Raises NoAccount, AccountClosed, CreditLimitRequired,
    OpenAmounts, PrepaidOnly, PaymentMethodMissing, AmountTooLarge, Invalid.
    """
    account = posting.lock_account(session, organization_id)
    if alerts.expire_credit_limit(session, account, now):
        notifications.publish_balance_soon(session, account)
    check(queries.patchable(account, now))
    before, usable_before = _terms(account, now), account.figures(now).usable
    _change_limit(account, patch, now)
    _change_mode(session, account, patch.get("payment_mode", account.payment_mode), now, by)
    _check_limit(account, before, now)
    _change_auto_top_up(account, patch.get("auto_top_up", {}))
    posting.check_range(account, now)
    alerts.check_thresholds(session, account, usable_before, now)
    after = _terms(account, now)
    changes = [
        {"field": name, "before": before[name], "after": after[name]}
        for name in after
        if before[name] != after[name]
    ]
    if changes:
        action = _audit_action(changes)
        audit_log.record(session, account, action, by=by, now=now, changes=changes)
        notifications.publish_balance(session, account, now=now)
    return {
        **queries.show_account(session, account, now),
        "patchable": queries.patchable(account, now),
    }


def expire_credit_limits(session: Session, *, now: datetime, limit: int = 100) -> int:
    """Drop temporary limits that have ended and publish the balances; returns how many.

    A limit stops applying at its time anyway. This informs the consumers of the balance.
    """
    accounts = queries.accounts_with_ended_limits(session, now, limit)
    for account in accounts:
        alerts.expire_credit_limit(session, account, now)
        notifications.publish_balance(session, account, now=now)
    return len(accounts)


def _change_limit(account: Account, patch: dict[str, Any], now: datetime) -> None:
    """With an end, or while the current limit has one, the new limit is temporary."""
    if "credit_limit" not in patch and "credit_limit_expires_at" not in patch:
        return
    ends = patch.get("credit_limit_expires_at", account.temporary_limit_ends(now))
    if ends is not None and ends <= now:
        raise invalid("/credit_limit_expires_at", "past", "Must be in the future.")
    account.set_limit(patch.get("credit_limit", account.limit_at(now)), ends)


def _check_limit(account: Account, before: Mapping[str, Any], now: datetime) -> None:
    """A postpaid account can only spend up to a limit. ``before``: the terms before the change."""
    after = _terms(account, now)
    is_changed = any(before[name] != after[name] for name in ("payment_mode", "credit_limit"))
    if is_changed and account.payment_mode == POSTPAID and not account.limit_at(now):
        raise CreditLimitRequired()


def _change_mode(session: Session, account: Account, mode: str, now: datetime, by: Actor) -> None:
    if mode == account.payment_mode:
        return
    if mode != POSTPAID and (account.unbilled or account.invoiced):
        raise OpenAmounts(
            unbilled=format_money(account.unbilled, account.currency),
            due=format_money(account.invoiced, account.currency),
        )
    transfers = _mode_change_transfers(account)
    account.payment_mode = mode
    account.auto_enabled = account.auto_enabled and mode == PREPAID
    account.month_ends_at = month_end(now, account.timezone) if mode == POSTPAID else None
    if transfers:
        posting.post(
            session,
            account,
            transfers,
            kind="mode_change",
            now=now,
            by=by,
            description=f"Changed to {mode}",
        )


def _mode_change_transfers(account: Account) -> list[Transfer]:
    """To postpaid, credit becomes surplus and debt becomes unbilled; to prepaid, surplus becomes
    the wallet."""
    if account.payment_mode == POSTPAID:
        if account.surplus:
            return [Transfer(Code.SURPLUS, Code.PREPAID, account.surplus)]
    elif account.prepaid > 0:
        return [Transfer(Code.PREPAID, Code.SURPLUS, account.prepaid)]
    elif account.prepaid < 0:
        return [Transfer(Code.UNBILLED, Code.PREPAID, -account.prepaid)]
    return []


def _change_auto_top_up(account: Account, patch: dict[str, Any]) -> None:
    for name, value in patch.items():
        setattr(account, f"auto_{name}", value)
    if not account.auto_enabled or not patch:
        return
    if account.payment_mode != PREPAID:
        raise PrepaidOnly()
    for name in ("amount", "method"):
        if getattr(account, f"auto_{name}") is None:
            raise invalid(
                f"/auto_top_up/{name}",
                "required",
                "An automatic top-up needs an amount and a method.",
            )
    payment_methods.check(account, str(account.auto_method))


def _terms(account: Account, now: datetime) -> dict[str, Any]:
    """The terms as the audit log shows them."""
    limit_ends = account.temporary_limit_ends(now)

    def money(amount: int | None) -> str | None:
        return None if amount is None else format_money(amount, account.currency)

    return {
        "payment_mode": account.payment_mode,
        "credit_limit": money(account.limit_at(now)),
        "credit_limit_expires_at": limit_ends.isoformat() if limit_ends else None,
        "auto_top_up.enabled": account.auto_enabled,
        "auto_top_up.threshold": money(account.auto_threshold),
        "auto_top_up.amount": money(account.auto_amount),
        "auto_top_up.method": account.auto_method,
    }


def _audit_action(changes: list[dict[str, Any]]) -> str:
    """The audit action of the most important of the changes."""
    fields = {change["field"] for change in changes}
    if "payment_mode" in fields:
        return "account.payment_mode_changed"
    if fields & {"credit_limit", "credit_limit_expires_at"}:
        return "account.credit_limit_changed"
    return "account.auto_top_up_changed"
