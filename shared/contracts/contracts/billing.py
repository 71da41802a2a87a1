"""What billing publishes. Every amount is a decimal string in the account's currency."""

from dataclasses import dataclass
from typing import ClassVar

from contracts import parts
from contracts.message import Message


@dataclass(frozen=True, kw_only=True)
class AccountOpened(Message):
    """The account of a new customer is open."""

    organization_id: str

    TYPE: ClassVar[str] = "billing.account_opened.v1"
    PUBLIC: ClassVar[bool] = True
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AccountClosed(Message):
    """Every bucket was empty and the account is closed: nothing can be posted to it."""

    organization_id: str
    deletion_id: str

    TYPE: ClassVar[str] = "billing.account_closed.v1"
    PUBLIC: ClassVar[bool] = True
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AccountNotClosed(Message):
    """The account was not closed: ``blockers`` are the buckets that are not empty."""

    organization_id: str
    deletion_id: str
    blockers: list[parts.Blocker]

    TYPE: ClassVar[str] = "billing.account_not_closed.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AccountFrozen(Message):
    """The organization is suspended and charges to its account are refused."""

    organization_id: str
    conversation_id: str

    TYPE: ClassVar[str] = "billing.account_frozen.v1"
    PUBLIC: ClassVar[bool] = True
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AccountReopened(Message):
    """The account accepts entries again, or is frozen if the organization returns suspended."""

    organization_id: str
    conversation_id: str

    TYPE: ClassVar[str] = "billing.account_reopened.v1"
    PUBLIC: ClassVar[bool] = True
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AccountSealed(Message):
    """After the grace period the account was still closed and empty. It cannot be reopened."""

    organization_id: str
    deletion_id: str

    TYPE: ClassVar[str] = "billing.account_sealed.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AccountNotSealed(Message):
    """After the grace period the account was not empty: ``blockers`` must be resolved before the
    organization can be deleted."""

    organization_id: str
    deletion_id: str
    blockers: list[parts.Blocker]

    TYPE: ClassVar[str] = "billing.account_not_sealed.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class BalanceChanged(Message):
    """The figures of an account after its latest entries. One message may cover several changes.

    ``overdue_amount``: what is open on invoices past their due date, and ``oldest_due_on`` the
    earliest of those dates; neither if there are none. ``top_up_needed``: whether an automatic
    top-up is due, as long as credits are that low."""

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
    overdue_amount: str | None = None
    oldest_due_on: str | None = None
    top_up_needed: bool | None = None
    days_to_empty: int | None = None
    as_of: str

    TYPE: ClassVar[str] = "billing.balance_changed.v1"
    PUBLIC: ClassVar[bool] = True
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class InvoiceIssued(Message):
    """Unbilled charges, or a single charge, are due.

    ``kind``: individual | usage | consolidated | none, where none is only recorded and never sent
    to the customer; ``open``: the amount due after a surplus was applied; ``email``: where the
    invoice is sent."""

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
    PUBLIC: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class InvoicePaid(Message):
    """Nothing is due on the invoice any more: it was paid, or the rest was credited."""

    organization_id: str
    provider_id: str
    invoice_id: str
    number: str
    currency: str
    total: str

    TYPE: ClassVar[str] = "billing.invoice_paid.v1"
    PUBLIC: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class InvoiceVoided(Message):
    """The invoice is void and its charges are unbilled again."""

    organization_id: str
    provider_id: str
    invoice_id: str
    number: str
    currency: str
    total: str

    TYPE: ClassVar[str] = "billing.invoice_voided.v1"
    PUBLIC: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class InvoiceOverdue(Message):
    """The invoice is past its due date and not fully paid. Published once per invoice."""

    organization_id: str
    provider_id: str
    invoice_id: str
    number: str
    currency: str
    open: str
    due_on: str

    TYPE: ClassVar[str] = "billing.invoice_overdue.v1"
    PUBLIC: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class CreditNoteIssued(Message):
    """An invoice was credited, in part or in full."""

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
    PUBLIC: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class ReservationExpired(Message):
    """A reservation expired at ``expired_at``: what was not captured is usable again."""

    organization_id: str
    provider_id: str
    reservation_id: str
    currency: str
    amount: str
    captured: str
    released: str
    expired_at: str

    TYPE: ClassVar[str] = "billing.reservation_expired.v1"
    PUBLIC: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class PaymentReceived(Message):
    """A payment for invoices was received. ``unassigned``: the part that exceeds the open
    invoices."""

    organization_id: str
    provider_id: str
    payment_id: str
    amount: str
    currency: str
    method: str
    received_on: str
    unassigned: str

    TYPE: ClassVar[str] = "billing.payment_received.v1"
    PUBLIC: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class UsageRefused(Message):
    """A usage record that came as a message was refused and changed nothing. ``record_id`` may be
    used again in a new message.

    ``code``: insufficient_credits, record_id_reused, account_frozen, account_closed,
    organization_not_found … The aggregate is the provider, because the organization may be unknown
    or belong to another provider."""

    organization_id: str
    provider_id: str
    record_id: str
    code: str
    amount: str

    TYPE: ClassVar[str] = "billing.usage_refused.v1"
    PUBLIC: ClassVar[bool] = True
    AGGREGATE: ClassVar[str] = "provider_id"


@dataclass(frozen=True, kw_only=True)
class CreditsLow(Message):
    """Usable credits fell to the provider's ``threshold``. Published once each time they do.
    ``email``: where the customer's invoices are sent."""

    organization_id: str
    provider_id: str
    name: str
    email: str | None = None
    currency: str
    usable_credits: str
    threshold: str
    crossed_at: str

    TYPE: ClassVar[str] = "billing.credits_low.v1"
    PUBLIC: ClassVar[bool] = True
    CONSUMERS: ClassVar[tuple[str, ...]] = ("membership",)


@dataclass(frozen=True, kw_only=True)
class TopUpWanted(Message):
    """An automatic top-up of ``amount`` is due, and the customer must pay it because this method
    cannot be charged automatically."""

    organization_id: str
    provider_id: str
    name: str
    email: str | None = None
    currency: str
    amount: str
    method: str
    usable_credits: str

    TYPE: ClassVar[str] = "billing.top_up_wanted.v1"
    PUBLIC: ClassVar[bool] = True
    CONSUMERS: ClassVar[tuple[str, ...]] = ("membership",)


@dataclass(frozen=True, kw_only=True)
class AutoTopUpFailed(Message):
    """An automatic top-up was refused; ``why`` is the code of the reason. It is tried again the
    next day."""

    organization_id: str
    provider_id: str
    currency: str
    amount: str
    method: str
    usable_credits: str
    why: str

    TYPE: ClassVar[str] = "billing.auto_top_up_failed.v1"
    PUBLIC: ClassVar[bool] = True
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class LedgerProved(Message):
    """The ledger audit of all the provider's accounts has finished. Published when it finds
    discrepancies, and once when there are none any more. ``status``: passed | failed."""

    provider_id: str
    status: str
    started_at: str
    finished_at: str
    accounts: int
    entries: int
    discrepancies: int

    TYPE: ClassVar[str] = "billing.ledger_proved.v1"
    PUBLIC: ClassVar[bool] = True
    AGGREGATE: ClassVar[str] = "provider_id"


@dataclass(frozen=True, kw_only=True)
class AccountState:
    """An account as it was when its balance was last published, at ``as_of``. ``status``: open,
    frozen, closed, sealed."""

    status: str
    payment_mode: str
    usable_credits: str
    balance: str
    credit_limit: str
    amount_due: str
    overdue_amount: str | None = None
    oldest_due_on: str | None = None
    days_to_empty: int | None = None
    as_of: str | None = None


@dataclass(frozen=True, kw_only=True)
class StateReported(Message):
    """What billing stores of an organization, after everything published before. ``account``: None
    if there is none. ``settings_version``: of a provider, the version that billing applies."""

    organization_id: str
    check_id: str
    account: AccountState | None = None
    settings_version: int

    TYPE: ClassVar[str] = "billing.state_reported.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class SettingsApplied(parts.SettingsApplied):
    """Billing applies these settings."""

    TYPE: ClassVar[str] = "billing.settings_applied.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)


@dataclass(frozen=True, kw_only=True)
class AuditRecorded(parts.AuditRecorded):
    """An entry of billing's audit log."""

    TYPE: ClassVar[str] = "billing.audit_recorded.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("org",)
