"""What can be done to an organization by itself; conversations with others are in ``sagas``."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from chassis import audit
from chassis.auth.actor import Actor
from chassis.messaging import outbox
from chassis.runtime import clock, ids
from contracts import billing, membership, org
from sqlalchemy import select
from sqlalchemy.orm import Session

from org import queries, values
from org.models import (
    Organization,
    ProviderSettings,
    ReactivationInProgress,
    Receipt,
    Revocation,
    TrailEntry,
)

TRAIL_ARRIVES, ENDS_WITHIN = timedelta(seconds=10), timedelta(seconds=60)
MOST_ROWS, MOST_CHARACTERS = 200, 150_000
PATCHABLE = ("name", "billing", "buyer_tags", "demo", "managed_by")


def create_organization(
    session: Session,
    *,
    provider_id: str,
    now: datetime,
    by: Actor,
    name: str,
    country: str,
    currency: str,
    timezone: str,
    pricing_model: str,
    payment_mode: str,
    billing: dict[str, Any],
    owner: dict[str, str],
    credit_limit: str | None = None,
    buyer_tags: dict[str, str | None] | None = None,
    demo: bool = False,
    managed_by: str = "provider",
) -> Organization:
    """A new customer of the provider, in status ``provisioning``. What could fail was checked at
    the door."""
    created = Organization(
        id=ids.new("org"),
        kind="customer",
        provider_id=provider_id,
        name=name,
        status=values.PROVISIONING,
        country=country,
        currency=currency,
        timezone=timezone,
        pricing_model=pricing_model,
        payment_mode=payment_mode,
        credit_limit=credit_limit,
        billing_name=billing.get("name"),
        billing_email=billing["email"],
        billing_address=billing.get("address"),
        billing_city=billing.get("city"),
        owner={**owner, "member_id": None, "verified": False},
        buyer_tags=_set_only(buyer_tags or {}),
        demo=demo,
        managed_by=managed_by,
        created_at=now,
        updated_at=now,
        days_to_empty=values.NEVER_EMPTY,
    )
    created.index_for_search()
    session.add(created)
    session.flush()
    record(session, created, "organization.created", by=by, now=now)
    return created


def create_provider(
    session: Session, *, message: membership.ProviderCreated, now: datetime
) -> None:
    """The provider's own organization, once."""
    if queries.provider_of(session, message.organization_id) is not None:
        return
    root = Organization(
        id=message.organization_id,
        kind="provider",
        provider_id=message.organization_id,
        name=message.name,
        status=values.ACTIVE,
        country=message.country,
        currency=message.currency,
        timezone=message.timezone,
        pricing_model="app",
        payment_mode="prepaid",
        owner=vars(message.owner),
        buyer_tags={},
        demo=False,
        managed_by="provider",
        created_at=now,
        updated_at=now,
        billing_email=message.owner.email,
    )
    root.index_for_search()
    session.add(root)


def change_organization(
    session: Session, *, found: Organization, now: datetime, by: Actor, changes: dict[str, Any]
) -> Organization:
    """Apply a checked patch of the patchable fields. Raises the refusal of the state table."""
    found.verdict("edit")
    before = patchable(found)
    for part in ("name", "demo", "managed_by"):
        if part in changes:
            setattr(found, part, changes[part])
    for part, value in changes.get("billing", {}).items():
        setattr(found, f"billing_{part}", value)
    if "buyer_tags" in changes:
        found.buyer_tags = _set_only({**found.buyer_tags, **changes["buyer_tags"]})
    after = patchable(found)
    if after == before:
        return found
    found.updated_at = now
    found.index_for_search()
    differences = [
        {"field": f, "before": before[f], "after": after[f]}
        for f in PATCHABLE
        if before[f] != after[f]
    ]
    record(session, found, "organization.changed", by=by, now=now, changes=differences)
    outbox.publish(
        session,
        org.OrganizationChanged(
            organization_id=found.id,
            provider_id=found.provider_id,
            name=found.name,
            billing=found.billing,
            buyer_tags=found.buyer_tags,
            managed_by=found.managed_by,
        ),
    )
    return found


def _set_only(tags: dict[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if value is not None}


def patchable(found: Organization) -> dict[str, Any]:
    """The patchable fields as they are now."""
    return {part: getattr(found, part) for part in PATCHABLE}


def suspend_organization(
    session: Session, *, organization_id: str, now: datetime, by: Actor, reason: str | None
) -> Organization:
    """Nobody logs in, nothing is charged; the money stays. Already suspended: nothing. Raises the
    state's refusal."""
    found = queries.organization(session, organization_id, lock=True)
    verdict = found.verdict("suspend")
    if queries.open_conversation(session, organization_id) is not None:
        raise ReactivationInProgress()
    if verdict == "same":
        return found
    change_status(
        session,
        found,
        values.SUSPENDED,
        now=now,
        by=by,
        action="organization.suspended",
        reason=reason,
    )
    revoke(session, organization_id, "closed", now)
    outbox.publish(
        session,
        org.OrganizationSuspended(
            organization_id=found.id, provider_id=found.provider_id, reason=reason
        ),
    )
    return found


def change_status(
    session: Session,
    found: Organization,
    status: str,
    *,
    now: datetime,
    by: Actor,
    action: str,
    reason: str | None = None,
) -> None:
    """Set the status and write it to the audit."""
    change = {"field": "status", "before": found.status, "after": status}
    found.status, found.updated_at = status, now
    record(session, found, action, by=by, now=now, changes=[change], reason=reason)


def revoke(session: Session, organization_id: str, state: str, now: datetime) -> None:
    """Tell the gateway's feed that the organization's tokens are void (``closed``) or good again
    (``open``)."""
    session.add(Revocation(organization_id=organization_id, state=state, at=now))


def change_settings(
    session: Session,
    *,
    provider_id: str,
    now: datetime,
    by: Actor,
    changes: dict[str, Any],
    check: Callable[[dict[str, Any]], None],
) -> ProviderSettings:
    """Choose settings; the other services are told and answer when they apply them.

    ``check`` is shown the settings as they are, locked, and raises to refuse the change."""
    root = queries.organization(session, provider_id, lock=True)
    found = queries.settings(session, provider_id, lock=True)
    before = values.SETTINGS | found.chosen
    check(before)
    after = before | changes
    differences = [
        {"field": f, "before": before[f], "after": after[f]} for f in after if before[f] != after[f]
    ]
    if not differences:
        return found
    found.chosen, found.version = found.chosen | changes, found.version + 1
    session.add(found)
    record(session, root, "settings.changed", by=by, now=now, changes=differences)
    outbox.publish(
        session, org.SettingsChanged(provider_id=provider_id, version=found.version, settings=after)
    )
    return found


def note_settings_applied(
    session: Session, *, provider_id: str, service: str, version: int
) -> None:
    """A service works by this version now."""
    found = queries.settings(session, provider_id, lock=True)
    found.applied = found.applied | {service: max(version, found.applied.get(service, 0))}


def note_balance(session: Session, *, message: billing.BalanceChanged) -> None:
    """Keep the figures of the latest word from billing."""
    found = queries.organization(session, message.organization_id, lock=True)
    as_of = datetime.fromisoformat(message.as_of)
    if found.as_of is not None and as_of < found.as_of:
        return
    found.usable_credits, found.usable_units = (
        message.usable_credits,
        values.micro_units(message.usable_credits),
    )
    found.balance, found.limit_now, found.amount_due = (
        message.balance,
        message.credit_limit,
        message.amount_due,
    )
    found.payment_mode = message.payment_mode
    found.days_to_empty = (
        values.NEVER_EMPTY if message.days_to_empty is None else message.days_to_empty
    )
    found.as_of = as_of


def note_members(session: Session, *, message: membership.MembersChanged) -> None:
    """Keep the counts and the owner of the latest word from membership."""
    found = queries.organization(session, message.organization_id, lock=True)
    if found.status == values.DELETED:
        return
    found.members, found.admins, found.owner = message.members, message.admins, vars(message.owner)
    found.index_for_search()


def note_trail(session: Session, *, service: str, message: Any, message_id: str) -> None:
    """Keep a row of some service's audit in the merged view, once; erased, where the organization
    is."""
    if session.get(TrailEntry, message.entry_id) is not None:
        return
    entry = TrailEntry(
        id=message.entry_id,
        organization_id=message.organization_id,
        service=service,
        at=datetime.fromisoformat(message.at),
        action=message.action,
        outcome=message.outcome,
        actor=message.actor,
        target=message.target,
        changes=message.changes,
        reason=message.reason,
        request_id=message.request_id,
        hash=message.hash,
        message_id=message_id,
        actor_id=(message.actor.get("acting") or {}).get("sub") or message.actor.get("id"),
        actor_kind=message.actor.get("kind"),
        target_id=message.target.get("id"),
        erased=False,
    )
    if queries.is_erased(session, message.organization_id):
        audit.strip(entry)
    session.add(entry)


def note_acting_ended(session: Session, *, message: membership.ActingEnded, now: datetime) -> None:
    """Staff have left; the organization gets a receipt, once what they did is known here."""
    if session.get(Receipt, message.acting_id) is None:
        session.add(
            Receipt(
                acting_id=message.acting_id,
                organization_id=message.organization_id,
                due_at=now + TRAIL_ARRIVES,
                started_at=datetime.fromisoformat(message.started_at),
                ended_at=datetime.fromisoformat(message.ended_at),
            )
        )


def say_receipts(session: Session, *, now: datetime, limit: int = 20) -> int:
    """Say what was done in the stays whose audit has had the time to arrive; answers how many."""
    due = session.scalars(
        select(Receipt)
        .where(Receipt.due_at <= now)
        .order_by(Receipt.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for receipt in due:
        done = queries.done_inside(session, receipt, ENDS_WITHIN)
        rows = values.first_that_fit(
            [
                {
                    "at": clock.stamp(e.at),
                    "action": e.action,
                    "target": e.target,
                    "changes": e.changes,
                }
                for e in done
            ],
            most=MOST_ROWS,
            size=MOST_CHARACTERS,
        )
        outbox.publish(
            session,
            org.SupportReceiptReady(
                organization_id=receipt.organization_id,
                acting_id=receipt.acting_id,
                rows=[org.Change(**row) for row in rows],
                left_out=len(done) - len(rows),
            ),
        )
        session.delete(receipt)
    return len(due)


def erase_history(session: Session, found: Organization) -> None:
    """Name nobody any more in what happened to this organization, neither in what is yet to be
    heard of it."""
    audit.erase(session, found.id)
    audit.erase_rows(session, TrailEntry, found.id)
    for wish in queries.deletions(session, found.id):
        wish.reason, wish.requested_by = None, audit.without_names(wish.requested_by)


def record(
    session: Session,
    found: Organization,
    action: str,
    *,
    by: Actor,
    now: datetime,
    changes: list[dict[str, Any]] | None = None,
    reason: str | None = None,
    outcome: str = "ok",
) -> None:
    """A row in org's audit about this organization."""
    audit.record(
        session,
        org.AuditRecorded,
        organization_id=found.id,
        provider_id=found.provider_id,
        action=action,
        by=by,
        now=now,
        target={"type": "organization", "id": found.id, "label": found.name},
        changes=changes,
        reason=reason,
        outcome=outcome,
    )


def record_denial(
    session: Session, *, organization_id: str, operation: str, by: Actor, now: datetime
) -> None:
    """Somebody tried what they may not do."""
    if not audit.denied_lately(session, organization_id, operation, by=by, now=now):
        found = queries.organization(session, organization_id)
        record(session, found, operation, by=by, now=now, outcome="denied")
