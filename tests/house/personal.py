"""Which text columns may hold personal data: what names, describes or authenticates a person, and
free text that somebody types. An id alone is not personal.

A new text column fails ``test_personal_data`` until it is named here.
"""

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine


class Columns(NamedTuple):
    """The text columns of a table."""

    personal: frozenset[str]
    other: frozenset[str]


def parse(table: str) -> dict[tuple[str, str], Columns]:
    """(owner, table) -> its text columns. Several lines may describe one table."""
    parsed: dict[tuple[str, str], Columns] = {}
    for line in filter(str.strip, table.splitlines()):
        name, personal, other = (part.strip() for part in line.split("|"))
        owner, _, table_name = name.partition(".")
        known = parsed.get((owner, table_name), Columns(frozenset(), frozenset()))
        parsed[owner, table_name] = Columns(
            known.personal | set(personal.split()), known.other | set(other.split())
        )
    return parsed


def text_columns(table: sa.Table) -> set[str]:
    """The names of the columns that hold text, or JSON with text in it."""
    return {column.name for column in table.columns if _holds_text(column.type)}


def _holds_text(type_: TypeEngine[object]) -> bool:
    if isinstance(type_, sa.types.TypeDecorator):
        return _holds_text(type_.impl_instance)
    return isinstance(type_, sa.String | sa.JSON | sa.ARRAY) and not isinstance(type_, sa.Enum)


# owner.table | personal | other
NAMED = parse("""
chassis.audit_entries         | actor target changes reason | action outcome request_id
chassis.audit_entries         |                             | previous_hash hash digests salt
chassis.audit_erased_people   |                             | id
chassis.audit_heads           |                             | hash
chassis.dead_letters          | detail                      | reason published_by
chassis.idempotency_keys      |                             | scope key fingerprint content_type
chassis.lease_holders         |                             | kind holder
chassis.leases                |                             | kind part holder
chassis.outbox                |                             | aggregate type unsendable
chassis.refused_dead_letters  |                             | published_by reason
chassis.stream_positions      |                             | source aggregate
chassis.streams               |                             | aggregate
chassis.waiting_messages      | error                       | source aggregate type

org.client_addresses          | address                     |
org.conversations             |                             | kind waiting_for back_to
org.deletions                 | reason requested_by         | status status_before blockers
org.differences               |                             | service kind ours theirs repair
org.organizations             | billing_name billing_email  | kind name sort_name status country
org.organizations             | billing_address             | currency timezone pricing_model
org.organizations             | billing_city owner          | payment_mode credit_limit managed_by
org.organizations             | buyer_tags search           | usable_credits balance limit_now
org.organizations             |                             | amount_due overdue_amount
org.provider_settings         |                             | chosen applied
org.reconciliation_checks     |                             | service
org.revocations               |                             | state
org.trail                     | actor target changes reason | service action outcome request_id
org.trail                     |                             | hash actor_id actor_kind target_id

billing.accounts              | billing buyer_tags          | name currency payment_mode status
billing.accounts              | payment_method              | closed_from auto_method country
billing.accounts              |                             | timezone
billing.credit_notes          | about reason                | number taxes
billing.invoices              | about                       | number kind status currency taxes
billing.journal               | description reference       | currency kind source method
billing.journal               | remark reason               | external_invoice actor_kind
billing.journal               |                             | actor_id
billing.ledger_proofs         |                             | status trial_balance discrepancies
billing.sources               |                             | kind
billing.payments              | reference                   | method status
billing.providers             | billing                     | name country currency timezone
billing.providers             |                             | settings
billing.reservations          | description                 | status

membership.acting_sessions    | reason staff_name           | mode access ended_why
membership.api_keys           | name created_by_name        | scopes created_by suspended_because
membership.authenticators     | name secret                 | kind
membership.counters           |                             | name
membership.guesses            | key                         |
membership.identities         | email given_name            | status
membership.identities         | pending_email               |
membership.identities         | family_name password_hash   |
membership.mailed_tokens      | email                       | purpose
membership.mails              | email figures               | purpose state
membership.members            | name given_name family_name | role preset status invited_by
membership.members            |                             | admitted_by
membership.members            | email extension pin_hash    |
membership.members            | sort_name search label      |
membership.members            | pending_email               |
membership.organizations      |                             | kind name state managed_by
membership.ownership_transfers | reason                      | to_role status
membership.provider_settings  |                             | settings
membership.revocations        |                             | kind key
membership.refresh_tokens     | answer                      |
membership.sessions           | user_agent client_address   | ended_why
membership.support_grants     | reason requested_by_name    | status access requested_by
membership.support_grants     | decided_by_name             | decided_by ended_why

console.browsers              | name email                  |
console.drafts                | fields                      |
console.seats                 | member act organization     | key role
console.seats                 | tokens                      |
""")
