"""One charge in one statement: what almost every charge is, on the database that can do it."""

from datetime import datetime
from typing import Any

from chassis.runtime import ids
from sqlalchemy import BigInteger, Uuid, bindparam, text
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import alerts
from billing.models import Entry
from billing.models.account_snapshot import SNAPSHOT_COLUMNS, AccountSnapshot
from billing.values import MAX_AMOUNT, MAX_STORED, PREPAID, Code

# Decides by the formulas of Figures, under the row lock that the update takes; where it can't admit
# the charge it changes nothing. The journal's rows, the day's spending and the note to say the
# figures are part of it.
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
                + CASE WHEN credit_limit_expires_at > :now THEN coalesce(temporary_limit, credit_limit)
                    ELSE credit_limit END
            AND prepaid + surplus - unbilled - invoiced - :amount >= -:largest AND unbilled + :amount <= :largest
            AND on_wallet >= :cost - :most_kept
        RETURNING *,
            CASE payment_mode WHEN 'prepaid' THEN prepaid - held ELSE surplus - invoiced - unbilled END AS balance
    ), posted AS (
        INSERT INTO journal (
            organization_id, seq, transaction_id, part, provider_id, currency, kind, debit, credit, amount, moved,
            balance_after, prepaid_after, surplus_after, unbilled_after, invoiced_after, held_after, description,
            occurred_at, posted_at
        )
        SELECT organization_id, seq - :legs + 1 + leg, :transaction_id, leg, provider_id, currency, :kind,
            CASE WHEN leg = 1 THEN :from_cost WHEN payment_mode = 'prepaid' THEN :from_prepaid ELSE :from_unbilled END,
            CASE leg WHEN 0 THEN :to_revenue ELSE :to_wallet END, CASE leg WHEN 0 THEN :amount ELSE :cost END,
            CASE leg WHEN 0 THEN -:amount ELSE 0 END, balance, prepaid, surplus, unbilled, invoiced, held,
            CASE leg WHEN 0 THEN :description END, :now, :now
        FROM account CROSS JOIN generate_series(0, :legs - 1) leg
    ), spent AS (
        INSERT INTO spendings (organization_id, day, amount) SELECT organization_id, :day, :amount FROM account
        ON CONFLICT (organization_id, day) DO UPDATE
        SET amount = least(spendings.amount, :most_kept - excluded.amount) + excluded.amount
    ), unsaid AS (
        INSERT INTO unsaid_figures SELECT organization_id FROM account ON CONFLICT DO NOTHING
    )
    SELECT provider_id,
        (SELECT settings ->> 'low_credit_threshold' FROM providers WHERE id = account.provider_id) AS threshold, {read}
    FROM account
""".replace("{read}", ", ".join(SNAPSHOT_COLUMNS))
).bindparams(
    *(bindparam(name, type_=Uuid) for name in ("organization_id", "transaction_id")),
    *(bindparam(name, type_=BigInteger) for name in ("amount", "cost", "largest", "most_kept")),
)
CONSTANTS = {
    "largest": MAX_AMOUNT,
    "most_kept": MAX_STORED,
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
    cost: int = 0,
) -> list[Entry] | None:
    """The rows of the charge, posted; None where this statement can't tell, or does not exist: then
    nothing is changed, and the long way says why."""
    if session.get_bind().dialect.name != "postgresql":
        return None
    id_, transaction_id, legs = (
        ids.to_uuid("org", organization_id),
        ids.new_uuid(),
        2 if cost else 1,
    )
    row = (
        session.connection()
        .execute(
            STATEMENT,
            {
                **CONSTANTS,
                "organization_id": id_,
                "transaction_id": transaction_id,
                "amount": amount,
                "cost": cost,
                "legs": legs,
                "kind": kind,
                "description": description,
                "now": now,
                "day": queries.utc_day(now),
            },
        )
        .one_or_none()
    )
    if row is None:
        return None
    after = AccountSnapshot.of(id_, row[0], row[2:], now)
    after.spent = amount
    alerts.check_snapshot_thresholds(session, [after], now, threshold=queries.low_threshold(row[1]))
    return _entries(after, ids.of_uuid("txn", transaction_id), amount, cost, kind, description, now)


def _entries(
    after: AccountSnapshot,
    transaction_id: str,
    amount: int,
    cost: int,
    kind: str,
    description: str,
    now: datetime,
) -> list[Entry]:
    """The rows as they now stand in the journal; they belong to no session."""
    bucket = Code.PREPAID if after.payment_mode == PREPAID else Code.UNBILLED
    every: dict[str, Any] = {
        "organization_id": ids.of_uuid("org", after.id),
        "transaction_id": transaction_id,
        "kind": kind,
        "currency": after.currency,
        "balance_after": after.balance,
        "occurred_at": now,
        "posted_at": now,
    }
    first = Entry(
        **every,
        part=0,
        debit=bucket,
        credit=Code.REVENUE,
        amount=amount,
        moved=-amount,
        description=description,
    )
    second = Entry(**every, part=1, debit=Code.COST, credit=Code.WALLET, amount=cost, moved=0)
    return [first, second] if cost else [first]
