"""The long conversations: opening, deletion, purge, reactivation. An organization is in one at the
most.

    kind          waits for   asked with       reply              next
    ------------  ----------  ---------------  -----------------  ------------------------------------------
    opening       account     OpenAccount      AccountOpened      wait for the owner
                  owner       InviteOwner      OwnerInvited       active
    deletion      account     CloseAccount     AccountClosed      wait for the access
                                               AccountNotClosed   refused; the organization is what it was
                  access      EndAccess        AccessEnded        scheduled: gone after the grace
    purge         account     SealAccount      AccountSealed      wait for the members: no way back
                                               AccountNotSealed   scheduled again, looked at tomorrow
                  members     EraseMembers     MembersErased      deleted
    reactivation  account     ReopenAccount    AccountReopened    wait for the access
                  access      RestoreAccess    AccessRestored     what it was before

A reply that is not waited for is late or repeated and changes nothing. Whoever does not answer is
asked again.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from chassis.auth.actor import SYSTEM, Actor
from chassis.messaging import outbox
from chassis.runtime import clock, ids, log
from contracts import Message, org, parts
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from org import actions, queries, values
from org.models import Conversation, Deletion, Organization, ReactivationInProgress, Revocation

ASK_AGAIN = timedelta(seconds=30)
ALARM_AFTER = 3
LOOK_AGAIN = timedelta(days=1)
_LOG = log.get("sagas")


# ---- what is asked while waiting
# ------------------------------------------------------------------------------------


def _open_account(found: Organization, _talk: Conversation) -> Message:
    return org.OpenAccount(
        organization_id=found.id,
        provider_id=found.provider_id,
        name=found.name,
        country=found.country,
        currency=found.currency,
        timezone=found.timezone,
        payment_mode=found.payment_mode,
        credit_limit=found.credit_limit,
        billing=found.billing,
        buyer_tags=found.buyer_tags,
    )


def _invite_owner(found: Organization, _talk: Conversation) -> Message:
    names = {part: found.owner[part] for part in ("given_name", "family_name", "email")}
    return org.InviteOwner(
        organization_id=found.id,
        provider_id=found.provider_id,
        name=found.name,
        managed_by=found.managed_by,
        **names,
    )


def _about_deletion(
    kind: Callable[..., Message],
) -> Callable[[Organization, Conversation], Message]:
    return lambda found, talk: kind(organization_id=found.id, deletion_id=talk.deletion_id)


def _reopen_account(found: Organization, talk: Conversation) -> Message:
    return org.ReopenAccount(
        organization_id=found.id, conversation_id=talk.id, frozen=_comes_back_suspended(talk)
    )


def _restore_access(found: Organization, talk: Conversation) -> Message:
    return org.RestoreAccess(
        organization_id=found.id, conversation_id=talk.id, suspended=_comes_back_suspended(talk)
    )


def _comes_back_suspended(talk: Conversation) -> bool:
    return talk.back_to == values.SUSPENDED


ASKS: dict[tuple[str, str], Callable[[Organization, Conversation], Message]] = {
    ("opening", "account"): _open_account,
    ("opening", "owner"): _invite_owner,
    ("deletion", "account"): _about_deletion(org.CloseAccount),
    ("deletion", "access"): _about_deletion(org.EndAccess),
    ("purge", "account"): _about_deletion(org.SealAccount),
    ("purge", "members"): _about_deletion(org.EraseMembers),
    ("reactivation", "account"): _reopen_account,
    ("reactivation", "access"): _restore_access,
}


# ---- beginnings
# -----------------------------------------------------------------------------------------------------


def begin_opening(session: Session, *, now: datetime, **wanted: Any) -> Organization:
    """Create a customer and ask billing for its account."""
    created = actions.create_organization(session, now=now, **wanted)
    _begin(session, created, "opening", "account", now)
    return created


def begin_deletion(
    session: Session, *, organization_id: str, now: datetime, by: Actor, reason: str | None
) -> Deletion:
    """Ask billing to close the account. Asked or scheduled already: the same deletion. Raises the
    state's refusal."""
    found = queries.organization(session, organization_id, lock=True)
    if found.verdict("delete") == "deletion":
        known = queries.latest_deletion(session, organization_id)
        if known.status == "cancelled":
            raise ReactivationInProgress()
        return known
    if queries.open_conversation(session, organization_id) is not None:
        raise ReactivationInProgress()
    wish = Deletion(
        id=ids.new("del"),
        organization_id=found.id,
        status="asked",
        status_before=found.status,
        reason=reason,
        requested_by={"kind": by.kind, "id": by.id, "label": by.label},
        requested_at=now,
        blockers=[],
    )
    session.add(wish)
    actions.change_status(
        session, found, values.CLOSING, now=now, by=by, action="deletion.requested", reason=reason
    )
    _begin(session, found, "deletion", "account", now, deletion_id=wish.id)
    return wish


def begin_reactivation(
    session: Session, *, organization_id: str, now: datetime, by: Actor
) -> Organization:
    """Ask billing and membership to reopen; the status changes when both have. Raises the state's
    refusal."""
    found = queries.organization(session, organization_id, lock=True)
    if found.verdict("activate") == "same" or queries.open_conversation(session, organization_id):
        return _not_while_purging(session, found)
    back_to = values.ACTIVE
    if found.status == values.SUSPENDED_FOR_DELETION:
        wish = queries.latest_deletion(session, organization_id)
        wish.cancel(now)
        found.purge_at, back_to = None, wish.status_before
        outbox.publish(
            session,
            org.DeletionCancelled(
                organization_id=found.id, provider_id=found.provider_id, deletion_id=wish.id
            ),
        )
    actions.record(session, found, "organization.activation_requested", by=by, now=now)
    _begin(session, found, "reactivation", "account", now, back_to=back_to)
    return found


def _not_while_purging(session: Session, found: Organization) -> Organization:
    if found.status == values.SUSPENDED_FOR_DELETION:
        wish = queries.latest_deletion(session, found.id)
        if wish.status == "purging":
            wish.cancel(wish.requested_at)
    return found


def begin_purge(session: Session, *, wish: Deletion, now: datetime) -> None:
    """The grace is over: ask billing to test the account once more and seal it."""
    found = queries.organization(session, wish.organization_id, lock=True)
    wish.status = "purging"
    actions.record(session, found, "deletion.purge_begun", by=SYSTEM, now=now)
    _begin(session, found, "purge", "account", now, deletion_id=wish.id)


# ---- replies
# --------------------------------------------------------------------------------------------------------


def account_opened(session: Session, *, organization_id: str, now: datetime) -> None:
    """Billing has opened the account: ask membership for the owner."""
    _go_on(session, organization_id, "opening", "account", "owner", now)


def owner_invited(
    session: Session, *, organization_id: str, owner: dict[str, Any], now: datetime
) -> None:
    """Membership has the owner: the organization is open for business."""
    found, talk = _expect(session, organization_id, "opening", "owner")
    if talk is None:
        return
    talk.finished_at = now
    found.owner = owner
    found.index_for_search()
    actions.change_status(
        session, found, values.ACTIVE, now=now, by=SYSTEM, action="organization.activated"
    )
    outbox.publish(
        session, org.OrganizationActivated(organization_id=found.id, provider_id=found.provider_id)
    )


def account_closed(
    session: Session, *, organization_id: str, deletion_id: str, now: datetime
) -> None:
    """Nothing is left on the account: nobody may enter from now on; ask membership to end the
    access.

    Asked twice, billing may have refused first and closed then: what was refused is reopened."""
    if _go_on(session, organization_id, "deletion", "account", "access", now, about=deletion_id):
        actions.revoke(session, organization_id, "closed", now)
        return
    found, wish = (
        queries.organization(session, organization_id),
        session.get_one(Deletion, deletion_id),
    )
    lives = found.status in (values.ACTIVE, values.SUSPENDED)
    if (
        wish.status == "refused"
        and lives
        and not queries.open_conversation(session, organization_id)
    ):
        _begin(session, found, "reactivation", "account", now, back_to=found.status)


def account_not_closed(
    session: Session,
    *,
    organization_id: str,
    deletion_id: str,
    blockers: list[parts.Blocker],
    now: datetime,
) -> None:
    """Something is left: the deletion is refused with the reasons and the organization is what it
    was."""
    found, talk = _expect(session, organization_id, "deletion", "account", about=deletion_id)
    if talk is None:
        return
    talk.finished_at = now
    wish = session.get_one(Deletion, deletion_id)
    wish.status, wish.blockers = "refused", [vars(b) for b in blockers]
    codes = ", ".join(b.code for b in blockers)
    actions.change_status(
        session,
        found,
        wish.status_before,
        now=now,
        by=SYSTEM,
        action="deletion.refused",
        reason=codes,
    )
    outbox.publish(
        session,
        org.DeletionRefused(
            organization_id=found.id,
            provider_id=found.provider_id,
            deletion_id=wish.id,
            blockers=blockers,
        ),
    )


def access_ended(
    session: Session, *, organization_id: str, deletion_id: str, now: datetime
) -> None:
    """Nobody can enter any more: the deletion is scheduled."""
    found, talk = _expect(session, organization_id, "deletion", "access", about=deletion_id)
    if talk is None:
        return
    talk.finished_at = now
    chosen = values.SETTINGS | queries.settings(session, found.provider_id).chosen
    wish = session.get_one(Deletion, deletion_id)
    wish.schedule(now, timedelta(days=int(str(chosen["deletion_grace_days"]))))
    found.purge_at = wish.purge_at
    actions.change_status(
        session,
        found,
        values.SUSPENDED_FOR_DELETION,
        now=now,
        by=SYSTEM,
        action="deletion.scheduled",
    )
    outbox.publish(
        session,
        org.DeletionScheduled(
            organization_id=found.id,
            provider_id=found.provider_id,
            deletion_id=wish.id,
            purge_at=clock.stamp(wish.purge_at or now),
        ),
    )


def account_sealed(
    session: Session, *, organization_id: str, deletion_id: str, now: datetime
) -> None:
    """The account is closed for good: there is no way back; ask membership to erase the people."""
    _go_on(session, organization_id, "purge", "account", "members", now, about=deletion_id)


def account_not_sealed(
    session: Session,
    *,
    organization_id: str,
    deletion_id: str,
    blockers: list[parts.Blocker],
    now: datetime,
) -> None:
    """Something stands on the account after the grace: never forced, never silent, looked at again
    tomorrow."""
    found, talk = _expect(session, organization_id, "purge", "account", about=deletion_id)
    if talk is None:
        return
    talk.finished_at = now
    wish = session.get_one(Deletion, deletion_id)
    wish.status, wish.blockers, wish.due_at = (
        "scheduled",
        [vars(b) for b in blockers],
        now + LOOK_AGAIN,
    )
    actions.record(session, found, "deletion.purge_blocked", by=SYSTEM, now=now)
    _LOG.error("purge.blocked", organization_id=found.id, blockers=wish.blockers)


def members_erased(
    session: Session, *, organization_id: str, deletion_id: str, now: datetime
) -> None:
    """The people are gone: a tombstone remains."""
    found, talk = _expect(session, organization_id, "purge", "members", about=deletion_id)
    if talk is None:
        return
    talk.finished_at = now
    wish = session.get_one(Deletion, deletion_id)
    wish.status, wish.completed_at = "completed", now
    found.erase()
    actions.erase_history(session, found)
    actions.change_status(
        session, found, values.DELETED, now=now, by=SYSTEM, action="organization.deleted"
    )
    outbox.publish(
        session,
        org.OrganizationDeleted(
            organization_id=found.id, provider_id=found.provider_id, deletion_id=wish.id
        ),
    )


def account_reopened(
    session: Session, *, organization_id: str, conversation_id: str, now: datetime
) -> None:
    """Billing takes entries again: ask membership to let people in."""
    _go_on(
        session, organization_id, "reactivation", "account", "access", now, about=conversation_id
    )


def access_restored(
    session: Session, *, organization_id: str, conversation_id: str, now: datetime
) -> None:
    """Everything is open again: the organization is what it was before."""
    found, talk = _expect(session, organization_id, "reactivation", "access", about=conversation_id)
    if talk is None:
        return
    talk.finished_at = now
    status = str(talk.back_to)
    actions.change_status(
        session, found, status, now=now, by=SYSTEM, action="organization.reactivated"
    )
    if status == values.ACTIVE:
        actions.revoke(session, found.id, "open", now)
    outbox.publish(
        session,
        org.OrganizationReactivated(
            organization_id=found.id, provider_id=found.provider_id, status=status
        ),
    )


# ---- the clock
# ------------------------------------------------------------------------------------------------------


def purge_due(session: Session, *, now: datetime, limit: int = 20) -> int:
    """Begin the purge of what is due; answers how many."""
    due = session.scalars(
        select(Deletion)
        .where(Deletion.status == "scheduled", Deletion.due_at <= now)
        .order_by(Deletion.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for wish in due:
        begin_purge(session, wish=wish, now=now)
    return len(due)


def ask_again(session: Session, *, now: datetime, limit: int = 50) -> int:
    """Say the last request of silent conversations again; answers how many."""
    silent = session.scalars(
        select(Conversation)
        .where(Conversation.finished_at.is_(None), Conversation.ask_again_at <= now)
        .order_by(Conversation.ask_again_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for talk in silent:
        if talk.times_asked >= ALARM_AFTER:
            _LOG.error(
                "conversation.stuck",
                conversation=talk.id,
                kind=talk.kind,
                waiting_for=talk.waiting_for,
            )
        _ask(session, queries.organization(session, talk.organization_id), talk, now)
    return len(silent)


def forget_revocations(session: Session, *, now: datetime) -> int:
    """Drop what no live token can meet any more, but the last: SQLite would give its number out
    again."""
    last = select(func.max(Revocation.seq)).scalar_subquery()
    done = select(Revocation).where(Revocation.at < now - queries.FEED_KEPT, Revocation.seq < last)
    old = session.scalars(done.limit(500)).all()
    for row in old:
        session.delete(row)
    return len(old)


# ---- how a conversation goes on
# -------------------------------------------------------------------------------------


def _begin(
    session: Session,
    found: Organization,
    kind: str,
    waiting_for: str,
    now: datetime,
    *,
    deletion_id: str | None = None,
    back_to: str | None = None,
) -> None:
    talk = Conversation(
        id=ids.new("cnv"),
        organization_id=found.id,
        deletion_id=deletion_id,
        kind=kind,
        waiting_for=waiting_for,
        back_to=back_to,
        begun_at=now,
        times_asked=0,
        ask_again_at=now,
    )
    session.add(talk)
    _ask(session, found, talk, now)


def _ask(session: Session, found: Organization, talk: Conversation, now: datetime) -> None:
    talk.times_asked += 1
    talk.ask_again_at = now + ASK_AGAIN * talk.times_asked
    outbox.publish(session, ASKS[talk.kind, talk.waiting_for](found, talk))


def _expect(
    session: Session, organization_id: str, kind: str, waiting_for: str, *, about: str | None = None
) -> tuple[Organization, Conversation | None]:
    """The organization, locked, and its conversation if it waits for just this."""
    found = queries.organization(session, organization_id, lock=True)
    talk = queries.open_conversation(session, organization_id)
    expected = talk is not None and (talk.kind, talk.waiting_for) == (kind, waiting_for)
    if talk is None or not expected or about not in (None, talk.id, talk.deletion_id):
        _LOG.info(
            "reply.ignored", organization_id=organization_id, kind=kind, waiting_for=waiting_for
        )
        return found, None
    return found, talk


def _go_on(
    session: Session,
    organization_id: str,
    kind: str,
    waiting_for: str,
    next_: str,
    now: datetime,
    *,
    about: str | None = None,
) -> bool:
    found, talk = _expect(session, organization_id, kind, waiting_for, about=about)
    if talk is None:
        return False
    talk.waiting_for, talk.times_asked = next_, 0
    _ask(session, found, talk, now)
    return True
