"""The product broken on purpose, one line at a time, in a copy: some test must go red for each.

One of them runs always, those that matter most with the exhaustive tests, the whole table by
``make mutants``. A line that has
been changed since is found out, for a mutation must find exactly what it replaces."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = {
    "billing": ROOT / "services/billing/billing",
    "chassis": ROOT / "shared/chassis/chassis",
}
MACHINE = "ledger/test_state_machine.py::test_whatever_is_done_the_ledger_answers_and_keeps_what_it_must[sqlite]"
SEED = "20260301"


class Mutation(NamedTuple):
    """``old`` becomes ``new`` in the file, and of the tests, on that database, one at least fails. ``always``: it is
    tried in every run."""

    name: str
    file: str
    old: str
    new: str
    tests: str
    always: bool = False


def usage(test: str) -> str:
    return f"test_usage.py::{test}"


TABLE = (
    # the ordering of locks
    Mutation(
        "usage locks its accounts in any order",
        "billing/actions/usage/records.py",
        "ORDER BY organization_id FOR NO KEY UPDATE",
        "ORDER BY random() FOR NO KEY UPDATE",
        usage(
            "test_overlapping_batches_never_wait_for_each_other_in_a_ring_and_admit_what_is_covered"
        ),
        True,
    ),
    # the limit
    Mutation(
        "usage asks for no cover",
        "billing/models/account_snapshot.py",
        "if not always and amount > usable:",
        "if not always and False:",
        usage("test_a_batch_is_decided_record_by_record[sqlite]"),
        True,
    ),
    Mutation(
        "a charge at once asks for no cover",
        "billing/actions/charges/fast_charge.py",
        "AND :amount <= CASE payment_mode",
        "AND :amount >= 0 OR 0 > CASE payment_mode",
        "test_concurrency.py::test_exactly_as_many_charges_succeed_as_the_limit_covers",
        True,
    ),
    Mutation(
        "nothing else asks for cover",
        "billing/actions/charges/credit_check.py",
        "    if shortfall <= 0:\n        return",
        "    if shortfall <= 10**9:\n        return",
        "test_reservations.py::test_the_worked_example[sqlite] test_actions.py::"
        "test_a_prepaid_charge_may_eat_the_limit_and_not_more[sqlite]",
        True,
    ),
    # duplicates
    Mutation(
        "usage counts a record as often as it comes",
        "billing/actions/usage/records.py",
        "if earlier is not None:",
        "if earlier is not None and False:",
        usage("test_records_are_posted_with_their_cost_and_count_once[sqlite]"),
        True,
    ),
    # one leg
    Mutation(
        "usage forgets its cost",
        "billing/actions/usage/records.py",
        "    if record.cost:\n        legs.append",
        "    if record.cost > 10**15:\n        legs.append",
        usage("test_records_are_posted_with_their_cost_and_count_once[sqlite]"),
        True,
    ),
    # the buckets at closing
    Mutation(
        "an account is closed whatever is in it",
        "billing/actions/accounts/closing.py",
        "    if blockers:\n        outbox.publish(",
        "    if blockers and False:\n        outbox.publish(",
        "test_listeners.py",
        True,
    ),
    # the rest, for make mutants
    Mutation(
        "a charge at once forgets its cost",
        "billing/actions/charges/fast_charge.py",
        "generate_series(0, :legs - 1) leg",
        "generate_series(0, 0 * :legs) leg",
        usage("test_every_way_of_writing_posts_the_same"),
    ),
    Mutation(
        "the buckets move without a row in the journal",
        "billing/actions/ledger/posting.py",
        "    session.add_all(rows)",
        "    session.add_all(rows[:1])",
        MACHINE,
    ),
    Mutation(
        "a row remembers the bucket before it",
        "billing/actions/ledger/posting.py",
        "unbilled_after=buckets.unbilled",
        "unbilled_after=before.unbilled",
        MACHINE,
    ),
    Mutation(
        "usage writes another balance",
        "billing/actions/usage/records.py",
        "snapshot.balance, snapshot.prepaid",
        "snapshot.usable, snapshot.prepaid",
        usage("test_every_way_of_writing_posts_the_same"),
    ),
    Mutation(
        "the number of the last row is not kept",
        "billing/actions/usage/records.py",
        '"unbilled", "seq", "on_wallet")\n# Many',
        '"unbilled", "on_wallet")\n# Many',
        usage("test_every_way_of_writing_posts_the_same") + " " + MACHINE,
    ),
    Mutation(
        "the account is read before it is locked",
        "billing/queries/accounts.py",
        "        wanted = wanted.with_for_update(key_share=True)",
        "        wanted = wanted",
        "test_concurrency.py test_reservations_concurrency.py",
    ),
    Mutation(
        "more is captured than is left",
        "billing/actions/reservations/reservations.py",
        "    if amount > left:",
        "    if amount > left + 1:",
        "test_reservations.py::test_no_more_is_captured_than_is_left " + MACHINE,
    ),
    Mutation(
        "a capture keeps the rest",
        "billing/actions/reservations/reservations.py",
        "freed = left if final else amount",
        "freed = amount",
        "test_reservations.py " + MACHINE,
    ),
    Mutation(
        "a reservation lives a microsecond longer",
        "billing/models/reservation.py",
        "now >= self.expires_at",
        "now > self.expires_at",
        "test_reservations.py " + MACHINE,
    ),
    Mutation(
        "the sweep comes a microsecond late",
        "billing/queries/reservations.py",
        'Reservation.status == "open",\n               Reservation.expires_at <= now',
        'Reservation.status == "open",\n               Reservation.expires_at < now',
        MACHINE,
    ),
    Mutation(
        "a temporary limit lasts a microsecond longer",
        "billing/models/account.py",
        "ends if ends is not None and now < ends",
        "ends if ends is not None and now <= ends",
        "test_models.py",
    ),
    Mutation(
        "a refund may exceed the charge",
        "billing/actions/charges/refunds.py",
        "    if not 0 < amount <= left:",
        "    if not 0 < amount:",
        MACHINE,
    ),
    Mutation(
        "a refund brings no cost back",
        "billing/actions/charges/refunds.py",
        "if returned else []",
        "if returned > 10**15 else []",
        MACHINE,
    ),
    Mutation(
        "what is invoiced is refunded as if it were not",
        "billing/actions/charges/refunds.py",
        "    if invoice is None:",
        "    if invoice is None or True:",
        MACHINE,
    ),
    Mutation(
        "a payment is assigned a sixth time",
        "billing/queries/payments.py",
        "MAX_EDITS = 5",
        "MAX_EDITS = 6",
        "test_payments.py::test_five_times_at_the_most",
    ),
    Mutation(
        "more of a payment is assigned than there is",
        "billing/actions/payments/payments.py",
        "available = min(payment.amount, sum(before.values()) + account.surplus)",
        "available = payment.amount",
        "test_payments.py " + MACHINE,
    ),
    Mutation(
        "an invoice begins a row late",
        "billing/actions/invoicing/invoices.py",
        "covered = Range(account.invoiced_seq + 1,",
        "covered = Range(account.invoiced_seq + 2,",
        MACHINE,
    ),
    Mutation(
        "a month takes a row of the next",
        "billing/queries/invoices.py",
        "row.posted_at < case(",
        "row.posted_at <= case(",
        "test_invoices_monthly.py",
    ),
    Mutation(
        "an invoice that was paid is voided",
        "billing/actions/invoicing/invoices.py",
        "    if invoice.paid or invoice.credited:",
        "    if invoice.credited:",
        MACHINE,
    ),
    Mutation(
        "more is credited than was invoiced",
        "billing/actions/invoicing/invoices.py",
        "    if not 0 < amount <= left:",
        "    if not 0 < amount <= left + 1:",
        MACHINE,
    ),
    Mutation(
        "a transaction is reversed twice",
        "billing/actions/charges/reversals.py",
        "    if queries.refunded_or_reversed(session, organization_id, transaction_id) is not None:",
        "    if False:",
        "test_reversals.py " + MACHINE,
    ),
    Mutation(
        "going back to prepaid leaves debts behind",
        "billing/actions/accounts/terms.py",
        "if mode != POSTPAID and (account.unbilled or account.invoiced):",
        "if mode != POSTPAID and account.unbilled:",
        "test_views.py test_invoices.py " + MACHINE,
    ),
    Mutation(
        "more is issued than the provider has",
        "billing/actions/charges/top_ups.py",
        "    if amount > usable:",
        "    if amount > usable + 1:",
        "test_wallet.py " + MACHINE,
    ),
    Mutation(
        "issues of several at once are counted apart",
        "billing/actions/charges/top_ups.py",
        "    if method == ISSUE:\n        providers.lock",
        "    if False:\n        providers.lock",
        "test_concurrency.py::test_no_more_is_issued_at_once_than_the_provider_has",
    ),
    Mutation(
        "an automatic top-up is tried again the same day",
        "billing/actions/charges/auto_top_ups.py",
        "account.auto_last_on >= local_day(now, account.timezone)",
        "False",
        "test_auto_top_ups.py",
    ),
    Mutation(
        "a closed account takes entries",
        "billing/actions/ledger/posting.py",
        "    if account.is_closed:\n        raise AccountClosed()",
        "    if False:\n        raise AccountClosed()",
        MACHINE,
    ),
    Mutation(
        "the figures are not said",
        "billing/actions/usage/records.py",
        "    INSERT INTO unsaid_figures SELECT organization_id FROM new ON CONFLICT DO NOTHING",
        "    SELECT 1",
        "test_coalescing.py",
    ),
    Mutation(
        "another body under the same key is the same request",
        "chassis/http/idempotency.py",
        "    if row.fingerprint != fingerprint:",
        "    if False:",
        MACHINE,
    ),
)
SHORT = "usage asks for no cover"
ALL = os.environ.get("LEDGER_MUTANTS") == "all"


def run(
    tmp_path: Path, mutation: Mutation | None, tests: str
) -> "subprocess.CompletedProcess[str]":
    """Those tests, on a copy of the product in which this line is another."""
    for name, source in PACKAGES.items():
        shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    if mutation:
        path = tmp_path / mutation.file
        text = path.read_text()
        assert text.count(mutation.old) == 1, (
            f"{mutation.old!r} stands {text.count(mutation.old)} times in it"
        )
        path.write_text(text.replace(mutation.old, mutation.new))
    environment = os.environ | {
        "PYTHONPATH": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LEDGER_SEED": SEED,
        "LEDGER_EXAMPLES": "40",
        "LEDGER_SHRINK": "no",
        "LEDGER_MUTANTS": "",
    }
    chosen = [f"tests/billing/{test}" for test in tests.split()]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--exhaustive"]
    return subprocess.run(
        [*command, *chosen],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "mutation",
    [
        pytest.param(m, marks=[] if m.name == SHORT else pytest.mark.exhaustive)
        for m in TABLE
        if ALL or m.always
    ],
    ids=lambda mutation: mutation.name,
)
def test_a_broken_ledger_turns_a_test_red(tmp_path: Path, mutation: Mutation) -> None:
    ran = run(tmp_path, mutation, mutation.tests)
    assert ran.returncode == 1 and " failed" in ran.stdout, ran.stdout[-2000:] + ran.stderr[-2000:]


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_the_same_tests_are_green_on_a_copy_that_is_whole(tmp_path: Path) -> None:
    ran = run(tmp_path, None, " ".join(dict.fromkeys(m.tests for m in TABLE if m.always)))
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
