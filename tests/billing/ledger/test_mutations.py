"""Mutations of the product, one line at a time, in a copy: at least one test must fail for each.

One mutation always runs, those that matter most with the exhaustive tests, the whole table with
``make mutants``. A mutation must find exactly the text that it replaces, so a line that has changed
since is noticed.
"""

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
MACHINE = (
    "ledger/test_state_machine.py::"
    "test_the_ledger_matches_the_oracle_after_any_sequence_of_requests[sqlite]"
)
SEED = "20260301"


class Mutation(NamedTuple):
    """``old`` becomes ``new`` in the file, and at least one of the tests fails.

    ``always``: it is tried in every run.
    """

    name: str
    file: str
    old: str
    new: str
    tests: str
    always: bool = False


def usage(test: str) -> str:
    return f"test_usage.py::{test}"


TABLE = (
    # order of locks
    Mutation(
        "accounts are locked in any order",
        "billing/actions/ledger/locking.py",
        "ORDER BY organization_id FOR NO KEY UPDATE",
        "ORDER BY random() FOR NO KEY UPDATE",
        usage("test_overlapping_batches_never_deadlock_and_admit_what_the_credits_cover"),
        True,
    ),
    # credit limit
    Mutation(
        "nothing makes a credit check",
        "billing/models/decisions.py",
        "    if missing <= 0:",
        "    if missing <= 10**9:",
        usage("test_a_batch_is_decided_record_by_record[sqlite]")
        + " reservations/test_captures.py::test_the_worked_example[sqlite] test_actions.py::"
        "test_a_prepaid_charge_may_use_the_credit_limit_and_no_more[sqlite]",
        True,
    ),
    Mutation(
        "the account is not locked when a charge is decided",
        "billing/actions/ledger/locking.py",
        '_LOCKING = " ORDER BY organization_id FOR NO KEY UPDATE OF accounts"',
        '_LOCKING = " ORDER BY organization_id"',
        "test_concurrency.py::test_exactly_as_many_charges_succeed_as_the_limit_covers",
        True,
    ),
    # duplicates
    Mutation(
        "usage counts a record every time it arrives",
        "billing/actions/ledger/records.py",
        "        if earlier is None:",
        "        if earlier is None or True:",
        usage("test_records_are_posted_with_their_cost_and_count_once[sqlite]"),
        True,
    ),
    # cost
    Mutation(
        "charges do not post their cost",
        "billing/models/decisions.py",
        "if cost else (price,)",
        "if cost > 10**15 else (price,)",
        usage("test_records_are_posted_with_their_cost_and_count_once[sqlite]"),
        True,
    ),
    # closing
    Mutation(
        "an account is closed although it is not empty",
        "billing/actions/accounts/closing.py",
        "    if blockers:\n        outbox.publish(",
        "    if blockers and False:\n        outbox.publish(",
        "test_listeners.py",
        True,
    ),
    # only with make mutants
    Mutation(
        "a group posts to accounts that were changed meanwhile",
        "billing/actions/ledger/bulk_writes.py",
        "WHERE CAST(accounts.xmin AS text) = given.version",
        "WHERE CAST(accounts.xmin AS text) <> ''",
        "test_group_commit.py",
    ),
    Mutation(
        "the buckets move without a row in the journal",
        "billing/actions/ledger/posting.py",
        "    session.add_all(rows)",
        "    session.add_all(rows[:1])",
        MACHINE,
    ),
    Mutation(
        "a row stores another bucket than the one after it",
        "billing/models/figures.py",
        "return self.prepaid, self.surplus, self.unbilled,",
        "return self.prepaid, self.surplus, self.unbilled + 1,",
        MACHINE,
    ),
    Mutation(
        "postings write another balance",
        "billing/actions/ledger/entries.py",
        "ids.new_uuid(), snapshot.balance, 0",
        "ids.new_uuid(), snapshot.usable, 0",
        MACHINE,
    ),
    Mutation(
        "the number of the last row is not stored",
        "billing/models/snapshot.py",
        '"invoiced", "held", "seq", "on_wallet")',
        '"invoiced", "held", "on_wallet")',
        usage("test_every_posting_path_writes_the_same_rows") + " " + MACHINE,
    ),
    Mutation(
        "the account is read before it is locked",
        "billing/queries/accounts.py",
        "        query = query.with_for_update(key_share=True)",
        "        query = query",
        "test_concurrency.py test_reservations_concurrency.py",
    ),
    Mutation(
        "more is captured than is left",
        "billing/models/decisions.py",
        "    if amount > held.left:",
        "    if amount > held.left + 1:",
        "reservations/test_captures.py::test_a_capture_cannot_exceed_what_is_left " + MACHINE,
    ),
    Mutation(
        "a capture keeps the rest",
        "billing/models/decisions.py",
        "freed = held.left if command.final else amount",
        "freed = amount",
        "reservations " + MACHINE,
    ),
    Mutation(
        "a reservation lives a microsecond longer",
        "billing/models/decisions.py",
        "now >= held.expires_at",
        "now > held.expires_at",
        "reservations " + MACHINE,
    ),
    Mutation(
        "the job expires a reservation a microsecond late",
        "billing/queries/reservations.py",
        '_ROWS.c.status == "open",\n            _ROWS.c.expires_at <= now',
        '_ROWS.c.status == "open",\n            _ROWS.c.expires_at < now',
        MACHINE,
    ),
    Mutation(
        "a temporary limit lasts a microsecond longer",
        "billing/models/account.py",
        "ends is not None and now < ends",
        "ends is not None and now <= ends",
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
        "a refund returns no cost",
        "billing/actions/charges/refunds.py",
        "    if not returned:",
        "    if returned < 10**15:",
        MACHINE,
    ),
    Mutation(
        "an invoiced charge is refunded as if it were not invoiced",
        "billing/actions/charges/refunds.py",
        "    if invoice is not None:",
        "    if invoice is not None and False:",
        MACHINE,
    ),
    Mutation(
        "a payment is assigned a sixth time",
        "billing/queries/payments.py",
        "MAX_EDITS = 5",
        "MAX_EDITS = 6",
        "test_payments.py::test_at_most_five_reassignments",
    ),
    Mutation(
        "more of a payment is assigned than there is",
        "billing/actions/payments/reassignment.py",
        "_new_shares(invoices, before, sum(before.values()) + unassigned)",
        "_new_shares(invoices, before, payment.amount)",
        "test_payments.py " + MACHINE,
    ),
    Mutation(
        "an invoice begins a row late",
        "billing/models/drafts.py",
        "return Range(customer.invoiced_seq + 1, seq,",
        "return Range(customer.invoiced_seq + 2, seq,",
        MACHINE,
    ),
    Mutation(
        "a month is invoiced although credits left less than it had",
        "billing/models/drafts.py",
        "    if unbilled < end.unbilled:",
        "    if False:",
        "test_billing_run.py",
    ),
    Mutation(
        "the billing run uses a number twice",
        "billing/actions/invoicing/invoices.py",
        "issue.customer.invoices + 1 for",
        "issue.customer.invoices for",
        "test_billing_run.py",
    ),
    Mutation(
        "a month covers a row of the next one",
        "billing/queries/billing_run.py",
        "Entry.posted_at < starts,",
        "Entry.posted_at <= starts,",
        "test_billing_run.py",
    ),
    Mutation(
        "an invoice that was paid is voided",
        "billing/actions/invoicing/voiding.py",
        "    if invoice.paid or invoice.credited:",
        "    if invoice.credited:",
        MACHINE,
    ),
    Mutation(
        "more is credited than was invoiced",
        "billing/actions/invoicing/credit_notes.py",
        "if amount <= 0 or amount - left > (unit - 1)",
        "if amount <= 0 or amount - left > 1 + (unit - 1)",
        MACHINE,
    ),
    Mutation(
        "a transaction is reversed twice",
        "billing/actions/charges/reversals.py",
        "queries.refunded_or_reversed(session, organization_id, transaction_id) is not None:",
        "False:",
        "test_reversals.py " + MACHINE,
    ),
    Mutation(
        "a change to prepaid leaves debts behind",
        "billing/actions/accounts/terms.py",
        "if mode != POSTPAID and (account.unbilled or account.invoiced):",
        "if mode != POSTPAID and account.unbilled:",
        "test_views.py invoices " + MACHINE,
    ),
    Mutation(
        "more is issued than the provider has",
        "billing/actions/accounts/wallet.py",
        "    if amount > usable:",
        "    if amount > usable + 1:",
        "test_wallet.py " + MACHINE,
    ),
    Mutation(
        "issues at the same time do not see each other",
        "billing/actions/accounts/wallet.py",
        "    if method == ISSUE:\n        lock_wallet_of",
        "    if False:\n        lock_wallet_of",
        "test_concurrency.py::test_concurrent_issues_cannot_exceed_the_providers_credits",
    ),
    Mutation(
        "a reversal takes from the provider's wallet what customers have",
        "billing/actions/accounts/wallet.py",
        "    _check_usable(wallet, first.amount, _BELONGS_TO_CUSTOMERS)\n",
        "",
        "test_wallet.py",
    ),
    Mutation(
        "a top-up of the provider's wallet is reversed twice",
        "billing/actions/accounts/wallet.py",
        "queries.refunded_or_reversed(session, provider_id, transaction_id) is not None:",
        "False:",
        "test_wallet.py",
    ),
    Mutation(
        "an automatic top-up is tried again the same day",
        "billing/actions/charges/auto_top_ups.py",
        "account.auto_last_on >= today",
        "False",
        "test_auto_top_ups.py",
    ),
    Mutation(
        "a closed account can be posted to",
        "billing/actions/ledger/posting.py",
        "    if account.is_closed:\n        raise AccountClosed()",
        "    if False:\n        raise AccountClosed()",
        MACHINE,
    ),
    Mutation(
        "the balance is not published",
        "billing/actions/ledger/bulk_writes.py",
        "    INSERT INTO unsaid_figures SELECT organization_id FROM changed ON CONFLICT DO NOTHING",
        "    SELECT 1",
        "test_coalescing.py",
    ),
    Mutation(
        "another body under the same key is the same request",
        "chassis/http/idempotency/claims.py",
        "    if used.fingerprint != fingerprint:",
        "    if False:",
        MACHINE,
    ),
)
SHORT = "nothing makes a credit check"
ALL = os.environ.get("LEDGER_MUTANTS") == "all"


def run(
    tmp_path: Path, mutation: Mutation | None, tests: str
) -> "subprocess.CompletedProcess[str]":
    """Run the tests on a copy of the product with this mutation."""
    for name, source in PACKAGES.items():
        shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    if mutation:
        path = tmp_path / mutation.file
        text = path.read_text()
        assert text.count(mutation.old) == 1, (
            f"{mutation.old!r} occurs {text.count(mutation.old)} times in {mutation.file}"
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


@pytest.mark.parametrize("mutation", TABLE, ids=lambda mutation: mutation.name)
def test_every_mutation_finds_its_text(mutation: Mutation) -> None:
    path = PACKAGES[mutation.file.partition("/")[0]].parent / mutation.file
    assert path.read_text().count(mutation.old) == 1


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
def test_a_mutation_fails_a_test(tmp_path: Path, mutation: Mutation) -> None:
    ran = run(tmp_path, mutation, mutation.tests)
    assert ran.returncode == 1 and " failed" in ran.stdout, ran.stdout[-2000:] + ran.stderr[-2000:]


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_the_same_tests_pass_without_a_mutation(tmp_path: Path) -> None:
    ran = run(tmp_path, None, " ".join(dict.fromkeys(m.tests for m in TABLE if m.always)))
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
