"""Opening accounts, and keeping what invoices print up to date."""

from datetime import datetime
from typing import Any

from chassis.auth.actor import SYSTEM
from chassis.messaging import outbox
from contracts import billing as messages
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import audit_log, notifications
from billing.models import Account, Provider
from billing.values import OPEN, POSTPAID, month_end


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
    """Open a customer's account and publish it. If it exists already, only publish it again."""
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
        audit_log.record(session, account, "account.opened", by=SYSTEM, now=now)
        notifications.publish_balance(session, account, now=now)
    outbox.publish(session, messages.AccountOpened(organization_id=organization_id))


def copy_organization(
    session: Session,
    *,
    organization_id: str,
    name: str,
    billing: dict[str, Any],
    buyer_tags: dict[str, Any],
) -> None:
    """Copy what invoices print: of a customer all of it, of a provider its name and address.

    Raises NoAccount.
    """
    provider = session.get(Provider, organization_id, with_for_update=True)
    if provider is not None:
        provider.name, provider.billing = name, billing
        return
    account = queries.get_account(session, organization_id, lock=True)
    account.name, account.billing, account.buyer_tags = name, billing, buyer_tags
