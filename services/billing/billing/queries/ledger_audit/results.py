"""The result of the latest ledger audit."""

from typing import Any

from chassis.errors import NotFound
from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.models import LedgerAudit
from billing.values import Code, format_money

_CHART_ORDER = {code.label: code.value for code in Code}
_UNKNOWN_LAST = 1_000


class NoAudit(NotFound):
    code = "not_found"
    detail = "The ledger audit of your accounts has not run yet. Try again in a minute."


def last_audit(session: Session, provider_id: str) -> dict[str, Any]:
    """The latest finished audit of a provider's accounts, amounts as decimal strings.

    Raises NoAudit.
    """
    audit = session.scalars(
        select(LedgerAudit)
        .where(LedgerAudit.provider_id == provider_id, LedgerAudit.finished_at.is_not(None))
        .order_by(LedgerAudit.id.desc())
        .limit(1)
    ).one_or_none()
    if audit is None:
        raise NoAudit()
    return {
        "status": audit.status,
        "started_at": audit.started_at,
        "finished_at": audit.finished_at,
        "accounts": audit.accounts,
        "entries": audit.entries,
        "discrepancies": audit.discrepancies,
        "trial_balance": [
            _show(currency, totals) for currency, totals in sorted(audit.trial_balance.items())
        ],
    }


def _show(currency: str, totals: dict[str, Any]) -> dict[str, Any]:
    accounts = sorted(
        totals["accounts"].items(), key=lambda item: _CHART_ORDER.get(item[0], _UNKNOWN_LAST)
    )
    return {
        "currency": currency,
        "customers_balance": format_money(totals["customers"], currency),
        "accounts": [
            {
                "account": name,
                "debit": format_money(debit, currency),
                "credit": format_money(credit, currency),
            }
            for name, (debit, credit) in accounts
        ],
    }
