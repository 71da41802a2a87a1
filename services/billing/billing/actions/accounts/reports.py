"""Reporting to org what billing stores of an organization."""

from datetime import datetime

from chassis.messaging import outbox
from contracts import billing as messages
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import notifications


def report_state(
    session: Session, *, organization_id: str, check_id: str, figures: bool, now: datetime
) -> None:
    """Publish the account as org must know it by now; if ``figures``, then its balance again, which
    corrects what org knows. A balance that waits to be published is published before."""
    account = None
    if queries.provider_of(session, organization_id) is not None:
        account = queries.get_account(session, organization_id, lock=True)
        notifications.publish_balances(session, organization_ids=[organization_id], now=now)
    state = queries.state(session, organization_id)
    outbox.publish(
        session,
        messages.StateReported(
            organization_id=organization_id,
            check_id=check_id,
            account=state.account,
            settings_version=state.settings_version,
        ),
    )
    if account is not None and figures:
        notifications.publish_balance(session, account, now=now)
