"""What billing says. Every amount is a decimal string in the account's currency."""

from dataclasses import dataclass
from typing import ClassVar

from contracts import parts
from contracts.message import Message


@dataclass(frozen=True, kw_only=True)
class AccountOpened(Message):
    """The account of a new customer is open."""

    organization_id: str

    TYPE: ClassVar[str] = "billing.account_opened.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AccountClosed(Message):
    """Every bucket was empty and the account took its last entry; nothing can be posted any
    more."""

    organization_id: str
    deletion_id: str

    TYPE: ClassVar[str] = "billing.account_closed.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AccountNotClosed(Message):
    """The account stays as it was: these buckets are not empty."""

    organization_id: str
    deletion_id: str
    blockers: list[parts.Blocker]

    TYPE: ClassVar[str] = "billing.account_not_closed.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AccountReopened(Message):
    """The account takes entries again (or is frozen again, when the organization comes back
    suspended)."""

    organization_id: str
    conversation_id: str

    TYPE: ClassVar[str] = "billing.account_reopened.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AccountSealed(Message):
    """The account was still closed and empty after the grace and can't be reopened any more."""

    organization_id: str
    deletion_id: str

    TYPE: ClassVar[str] = "billing.account_sealed.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AccountNotSealed(Message):
    """After the grace something stood on the account: it must be settled before the organization
    can go."""

    organization_id: str
    deletion_id: str
    blockers: list[parts.Blocker]

    TYPE: ClassVar[str] = "billing.account_not_sealed.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class BalanceChanged(Message):
    """The figures of an account after its latest entries; several changes may be told as one."""

    organization_id: str
    provider_id: str
    currency: str
    payment_mode: str
    status: str
    usable_credits: str
    balance: str
    credit_limit: str
    reserved_credits: str
    amount_due: str
    days_to_empty: int | None = None
    as_of: str

    TYPE: ClassVar[str] = "billing.balance_changed.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class InvoiceIssued(Message):
    """What was unbilled, or one charge, is due. ``kind``: individual | usage | consolidated | none;
    the last is only kept, never sent to the customer. ``open``: what it asks for, once a surplus
    has paid its part; ``email``: where it goes."""

    organization_id: str
    provider_id: str
    invoice_id: str
    number: str
    kind: str
    currency: str
    total: str
    tax: str
    open: str
    issued_on: str
    due_on: str
    email: str | None = None

    TYPE: ClassVar[str] = "billing.invoice_issued.v1"


@dataclass(frozen=True, kw_only=True)
class InvoicePaid(Message):
    """The invoice asks for nothing any more: it was paid, or taken back where it was not."""

    organization_id: str
    provider_id: str
    invoice_id: str
    number: str
    currency: str
    total: str

    TYPE: ClassVar[str] = "billing.invoice_paid.v1"


@dataclass(frozen=True, kw_only=True)
class InvoiceVoided(Message):
    """The invoice is void; what was on it is unbilled again."""

    organization_id: str
    provider_id: str
    invoice_id: str
    number: str
    currency: str
    total: str

    TYPE: ClassVar[str] = "billing.invoice_voided.v1"


@dataclass(frozen=True, kw_only=True)
class InvoiceOverdue(Message):
    """The last day to pay the invoice is over and it still asks for something; said once."""

    organization_id: str
    provider_id: str
    invoice_id: str
    number: str
    currency: str
    open: str
    due_on: str

    TYPE: ClassVar[str] = "billing.invoice_overdue.v1"


@dataclass(frozen=True, kw_only=True)
class CreditNoteIssued(Message):
    """Part of an invoice, or all of it, was taken back."""

    organization_id: str
    provider_id: str
    invoice_id: str
    transaction_id: str
    number: str
    currency: str
    amount: str
    tax: str
    reason: str

    TYPE: ClassVar[str] = "billing.credit_note_issued.v1"


@dataclass(frozen=True, kw_only=True)
class ReservationExpired(Message):
    """The time of a reservation was over at ``expired_at``: what had not been captured is usable
    again."""

    organization_id: str
    provider_id: str
    reservation_id: str
    currency: str
    amount: str
    captured: str
    released: str
    expired_at: str

    TYPE: ClassVar[str] = "billing.reservation_expired.v1"


@dataclass(frozen=True, kw_only=True)
class PaymentReceived(Message):
    """Money came in for invoices. ``unassigned``: what of it no invoice asked for."""

    organization_id: str
    provider_id: str
    payment_id: str
    amount: str
    currency: str
    method: str
    received_on: str
    unassigned: str

    TYPE: ClassVar[str] = "billing.payment_received.v1"


@dataclass(frozen=True, kw_only=True)
class UsageRefused(Message):
    """A usage record that came as a message changed nothing; ``record_id`` may be used again, in a new message.
    ``code``: insufficient_credits, record_id_reused, account_frozen, account_closed, organization_not_found …
    Said about the provider, because the organization may be nobody's, or another's."""

    organization_id: str
    provider_id: str
    record_id: str
    code: str
    amount: str

    TYPE: ClassVar[str] = "billing.usage_refused.v1"
    AGGREGATE: ClassVar[str] = "provider_id"


@dataclass(frozen=True, kw_only=True)
class CreditsLow(Message):
    """Usable credits came down to the provider's ``threshold``; said once each time they do.
    ``email``: where the customer's bills go."""

    organization_id: str
    provider_id: str
    name: str
    email: str | None = None
    currency: str
    usable_credits: str
    threshold: str
    crossed_at: str

    TYPE: ClassVar[str] = "billing.credits_low.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("membership",)


@dataclass(frozen=True, kw_only=True)
class TopUpWanted(Message):
    """An automatic top-up of ``amount`` is due and the customer must pay it: by this method nothing
    can be drawn."""

    organization_id: str
    provider_id: str
    name: str
    email: str | None = None
    currency: str
    amount: str
    method: str
    usable_credits: str

    TYPE: ClassVar[str] = "billing.top_up_wanted.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("membership",)


@dataclass(frozen=True, kw_only=True)
class AutoTopUpFailed(Message):
    """An automatic top-up was refused, for the reason with the code ``why``; it is tried again
    tomorrow."""

    organization_id: str
    provider_id: str
    currency: str
    amount: str
    method: str
    usable_credits: str
    why: str

    TYPE: ClassVar[str] = "billing.auto_top_up_failed.v1"


@dataclass(frozen=True, kw_only=True)
class LedgerProved(Message):
    """The auditor has been through all the provider's books. Said when it found something, and once
    when it finds nothing any more. ``status``: passed | failed."""

    provider_id: str
    status: str
    started_at: str
    finished_at: str
    accounts: int
    entries: int
    discrepancies: int

    TYPE: ClassVar[str] = "billing.ledger_proved.v1"
    AGGREGATE: ClassVar[str] = "provider_id"


@dataclass(frozen=True, kw_only=True)
class SettingsApplied(parts.SettingsApplied):
    """Billing works by these settings."""

    TYPE: ClassVar[str] = "billing.settings_applied.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AuditRecorded(parts.AuditRecorded):
    """A row of billing's audit."""

    TYPE: ClassVar[str] = "billing.audit_recorded.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)
