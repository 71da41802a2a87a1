"""A charge in a single SQL statement, which nearly every charge is on PostgreSQL."""

from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from chassis.db.upserts import is_postgresql
from chassis.runtime import ids
from sqlalchemy import BigInteger, Uuid, bindparam, text
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import alerts
from billing.models import Entry
from billing.models.account_snapshot import SNAPSHOT_COLUMNS, AccountSnapshot
from billing.values import MAX_AMOUNT, MAX_STORED, PREPAID, Code

# It decides by the formulas of Figures, under the row lock that the update takes, and changes
# nothing if the charge cannot be admitted. It also writes the journal's rows and the day's
# spending, and has the balance published.
STATEMENT = text(
    """
    WITH account AS (
        UPDATE accounts SET
            prepaid = prepaid - CASE payment_mode WHEN 'prepaid' THEN :amount ELSE 0 END,
            unbilled = unbilled + CASE payment_mode WHEN 'postpaid' THEN :amount ELSE 0 END,
            seq = seq + :legs,
            on_wallet = on_wallet - :cost
        WHERE organization_id = :organization_id AND status = 'open'
            AND :amount <= CASE payment_mode WHEN 'prepaid' THEN prepaid
                ELSE greatest(0, surplus - invoiced) - unbilled END - held
                + CASE WHEN credit_limit_expires_at > :now
                    THEN coalesce(temporary_limit, credit_limit)
                    ELSE credit_limit END
            AND prepaid + surplus - unbilled - invoiced - :amount >= -:max_amount
            AND unbilled + :amount <= :max_amount
            AND on_wallet >= :cost - :max_stored
        RETURNING *,
            CASE payment_mode WHEN 'prepaid' THEN prepaid - held
                ELSE surplus - invoiced - unbilled END AS balance
    ), posted AS (
        INSERT INTO journal (
            organization_id, seq, transaction_id, part, provider_id, currency, kind, debit, credit,
            amount, moved, balance_after, prepaid_after, surplus_after, unbilled_after,
            invoiced_after, held_after, description, actor_kind, actor_id, occurred_at, posted_at
        )
        SELECT organization_id, seq - :legs + 1 + leg, :transaction_id, leg, provider_id, currency,
            :kind,
            CASE WHEN leg = 1 THEN :from_cost WHEN payment_mode = 'prepaid' THEN :from_prepaid
                ELSE :from_unbilled END,
            CASE leg WHEN 0 THEN :to_revenue ELSE :to_wallet END,
            CASE leg WHEN 0 THEN :amount ELSE :cost END,
            CASE leg WHEN 0 THEN -:amount ELSE 0 END,
            balance, prepaid, surplus, unbilled, invoiced, held,
            CASE leg WHEN 0 THEN :description END, CASE leg WHEN 0 THEN :actor_kind END,
            CASE leg WHEN 0 THEN :actor_id END, :now, :now
        FROM account CROSS JOIN generate_series(0, :legs - 1) leg
    ), spent AS (
        INSERT INTO spendings (organization_id, day, amount)
        SELECT organization_id, :day, :amount FROM account
        ON CONFLICT (organization_id, day) DO UPDATE
        SET amount = least(spendings.amount, :max_stored - excluded.amount) + excluded.amount
    ), unpublished AS (
        INSERT INTO unsaid_figures SELECT organization_id FROM account ON CONFLICT DO NOTHING
    )
    SELECT provider_id,
        (SELECT settings ->> 'low_credit_threshold' FROM providers WHERE id = account.provider_id)
            AS threshold,
        {columns}
    FROM account
""".replace("{columns}", ", ".join(SNAPSHOT_COLUMNS))
).bindparams(
    *(bindparam(name, type_=Uuid) for name in ("organization_id", "transaction_id")),
    *(bindparam(name, type_=BigInteger) for name in ("amount", "cost", "max_amount", "max_stored")),
)
CONSTANTS = {
    "max_amount": MAX_AMOUNT,
    "max_stored": MAX_STORED,
    "from_prepaid": int(Code.PREPAID),
    "from_unbilled": int(Code.UNBILLED),
    "from_cost": int(Code.COST),
    "to_revenue": int(Code.REVENUE),
    "to_wallet": int(Code.WALLET),
}


def fast_charge(
    session: Session,
    *,
    organization_id: str,
    amount: int,
    kind: str,
    description: str,
    now: datetime,
    by: Actor,
    cost: int = 0,
) -> list[Entry] | None:
    """Post the charge; returns its rows, which belong to no session.

    None if this statement cannot admit it, or the database does not support it. Then nothing has
    changed, and posting the long way tells why.
    """
    if not is_postgresql(session):
        return None
    organization_uuid, transaction_uuid = ids.to_uuid("org", organization_id), ids.new_uuid()
    only_first = {"description": description, "actor_kind": by.kind, "actor_id": by.id}
    parameters = {
        **CONSTANTS,
        **only_first,
        "organization_id": organization_uuid,
        "transaction_id": transaction_uuid,
        "amount": amount,
        "cost": cost,
        "legs": 2 if cost else 1,
        "kind": kind,
        "now": now,
        "day": queries.utc_day(now),
    }
    row = session.connection().execute(STATEMENT, parameters).one_or_none()
    if row is None:
        return None
    provider_uuid, threshold, *columns = row
    after = AccountSnapshot.of(organization_uuid, provider_uuid, columns, now)
    after.spent = amount
    alerts.check_snapshot_thresholds(
        session, [after], now, threshold=queries.low_threshold(threshold)
    )
    transaction_id = ids.of_uuid("txn", transaction_uuid)
    return _entries(after, transaction_id, amount, cost, kind, only_first, now)


def _entries(
    after: AccountSnapshot,
    transaction_id: str,
    amount: int,
    cost: int,
    kind: str,
    only_first: dict[str, Any],
    now: datetime,
) -> list[Entry]:
    """The rows as the statement has written them."""
    shared: dict[str, Any] = {
        "organization_id": ids.of_uuid("org", after.id),
        "transaction_id": transaction_id,
        "kind": kind,
        "currency": after.currency,
        "balance_after": after.balance,
        "occurred_at": now,
        "posted_at": now,
    }
    first = Entry(
        **shared,
        part=0,
        debit=Code.PREPAID if after.payment_mode == PREPAID else Code.UNBILLED,
        credit=Code.REVENUE,
        amount=amount,
        moved=-amount,
        **only_first,
    )
    if not cost:
        return [first]
    return [
        first,
        Entry(**shared, part=1, debit=Code.COST, credit=Code.WALLET, amount=cost, moved=0),
    ]
