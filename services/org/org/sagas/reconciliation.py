"""Reconciliation: ask the other services to report what they store of an organization, record what
differs when they reply, and repair what may be repaired.

A report is a message, so it arrives after everything that the service published before, and the
service sends it after everything that org sent before. What differs then, differs: nothing that
could still make up for it is on its way, except a saga.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from chassis.messaging import outbox
from chassis.runtime import ids, log
from contracts import Message, org
from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from org import actions, queries, values
from org.models import Check, Difference, Organization
from org.sagas.progress import begin
from org.values import comparison
from org.values.comparison import (
    BILLING,
    FIGURES,
    MEMBERSHIP,
    MISSING,
    SETTINGS,
    STATE,
    Report,
    Sides,
)

SUSPENSION, REACTIVATION = "suspension", "reactivation"
ACTIVATION, END_ACCESS, PUBLICATION, SEND_SETTINGS = (
    "activation",
    "end access",
    "publication",
    "send settings",
)
_LOG = log.get("reconciliation")

# What corrects the state of a customer's account or access, by the status that it has at org. What
# is not here is reported only: it would change money, or cannot be undone. REACTIVATION and
# ACTIVATION open something, which only an operator can allow: org may have been restored from a
# backup of a time when the customer was not suspended yet.
_REPAIRS = {
    (values.ACTIVE, BILLING, "frozen"): REACTIVATION,
    (values.ACTIVE, BILLING, "closed"): REACTIVATION,
    (values.ACTIVE, MEMBERSHIP, "suspended"): REACTIVATION,
    (values.ACTIVE, MEMBERSHIP, "ended"): REACTIVATION,
    (values.ACTIVE, MEMBERSHIP, "provisioning"): ACTIVATION,
    (values.SUSPENDED, BILLING, "open"): SUSPENSION,
    (values.SUSPENDED, BILLING, "closed"): REACTIVATION,
    (values.SUSPENDED, MEMBERSHIP, "open"): SUSPENSION,
    (values.SUSPENDED, MEMBERSHIP, "provisioning"): SUSPENSION,
    (values.SUSPENDED, MEMBERSHIP, "ended"): REACTIVATION,
    (values.SUSPENDED_FOR_DELETION, MEMBERSHIP, "open"): END_ACCESS,
    (values.SUSPENDED_FOR_DELETION, MEMBERSHIP, "suspended"): END_ACCESS,
    (values.SUSPENDED_FOR_DELETION, MEMBERSHIP, "provisioning"): END_ACCESS,
}


def request_reports(
    session: Session,
    organization_ids: Collection[str],
    *,
    now: datetime,
    may_reopen: bool = False,
) -> int:
    """Ask both services about these organizations, except those that are in a saga and those that
    were asked about and have no reply yet; returns about how many. ``may_reopen``: repairs that
    open an account or access may follow."""
    if may_reopen:
        of_these = Check.organization_id.in_(organization_ids)
        session.execute(update(Check).where(of_these).values(may_reopen=True))
    waiting = queries.checks(session, organization_ids, since=now - queries.CHECK_AGAIN_AFTER)
    excluded = {check.organization_id for check in waiting}
    excluded |= queries.in_sagas(session, organization_ids)
    chosen = sorted(set(organization_ids) - excluded)
    versions = queries.settings_versions(session, chosen)
    known = queries.known(session, chosen)
    actions.delete_unanswered(session, Check.organization_id.in_(chosen))
    for organization_id in chosen:
        check_id = ids.new("chk")
        session.add_all(
            Check(
                organization_id=organization_id,
                service=service,
                id=check_id,
                settings_version=versions.get(organization_id, 0),
                requested_at=now,
                may_reopen=may_reopen,
            )
            for service in comparison.SERVICES
        )
        outbox.publish(
            session,
            org.ReportState(
                organization_id=organization_id,
                check_id=check_id,
                figures=organization_id in known,
            ),
        )
    return len(chosen)


def receive_report(session: Session, message: Message, *, now: datetime) -> None:
    """Record what differs. When both services have replied, begin the repairs. A report that is
    late or repeated changes nothing. One during a saga or a change of settings ends the whole
    check, so that no repair is based on what an earlier one has found."""
    report = comparison.read(message)
    ours = queries.own_state(session, report.organization_id)
    check = session.get(Check, (report.organization_id, report.service), with_for_update=True)
    if check is None or check.id != report.check_id:
        return
    if ours is not None and _is_changing(ours, check):
        session.execute(delete(Check).where(Check.organization_id == report.organization_id))
        return
    session.delete(check)
    session.flush()
    _record(session, report, comparison.differences(ours, report), now)
    session.flush()
    if ours is not None and not queries.has_check(session, report.organization_id):
        organization = queries.organization(session, report.organization_id)
        _repair(session, organization, now=now, may_reopen=check.may_reopen)


def _is_changing(ours: comparison.OwnState, check: Check) -> bool:
    changed = ours.settings[check.service]["version"] != check.settings_version
    return ours.in_saga or changed


def _record(session: Session, report: Report, differing: dict[str, Sides], now: datetime) -> None:
    known = queries.differences_with(session, report.organization_id, report.service)
    for kind, (ours, theirs) in differing.items():
        row = known.get(kind)
        if row is None:
            row = Difference(
                organization_id=report.organization_id, service=report.service, kind=kind
            )
            session.add(row)
        if row.first_seen_at is None or row.repaired_at is not None:
            row.first_seen_at, row.repaired_at, row.repair = now, None, None
            _LOG.error("reconciliation.difference", **_described(row), ours=ours, theirs=theirs)
        row.ours, row.theirs, row.last_seen_at = ours, theirs, now
    for kind, row in known.items():
        if kind not in differing and row.repaired_at is None:
            row.repaired_at = now
            _LOG.info("reconciliation.repaired", **_described(row))


def _described(row: Difference) -> dict[str, str]:
    return {"organization_id": row.organization_id, "service": row.service, "kind": row.kind}


def _repair(
    session: Session, organization: Organization, *, now: datetime, may_reopen: bool
) -> None:
    rows = queries.differences(session, organization.id)
    for row in rows:
        if row.kind == FIGURES:  # the service publishes them again after its report
            row.repair = PUBLICATION
        elif row.kind == SETTINGS:
            row.repair = _send_settings(session, row)
    of_state = [row for row in rows if row.kind in (STATE, MISSING)]
    repairs = _allowed([_repair_of_state(organization, row) for row in of_state], may_reopen)
    for row, repair in zip(of_state, repairs, strict=True):
        row.repair = repair
    # One saga at a time; what it leaves is repaired after the next check.
    sagas = {SUSPENSION, REACTIVATION} & set(repairs)
    if sagas:
        begin(session, organization, max(sagas), now=now, status_after=organization.status)
    if ACTIVATION in repairs:
        outbox.publish(
            session,
            org.OrganizationActivated(
                organization_id=organization.id, provider_id=organization.provider_id
            ),
        )
    if END_ACCESS in repairs:
        deletion = queries.latest_deletion(session, organization.id)
        outbox.publish(
            session, org.EndAccess(organization_id=organization.id, deletion_id=deletion.id)
        )


def _allowed(repairs: Sequence[str | None], may_reopen: bool) -> list[str | None]:
    """These repairs, None in place of those that may not begin. Where something cannot be
    repaired, a saga would wait without end for the reply about it."""
    allowed = {END_ACCESS}
    if None not in repairs:
        allowed |= {SUSPENSION, REACTIVATION, ACTIVATION} if may_reopen else {SUSPENSION}
    return [repair if repair in allowed else None for repair in repairs]


def _repair_of_state(organization: Organization, row: Difference) -> str | None:
    if organization.kind == "provider" or row.ours["status"] != organization.status:
        return None
    return _REPAIRS.get((organization.status, row.service, row.theirs.get("state", "")))


def _send_settings(session: Session, row: Difference) -> str | None:
    """Publish a provider's settings again, unless the service has newer ones."""
    settings = queries.provider_settings(session, row.organization_id)
    if row.theirs.get("version", settings.version) > settings.version:
        return None
    outbox.publish(
        session,
        org.SettingsChanged(
            provider_id=row.organization_id, version=settings.version, settings=settings.effective
        ),
    )
    return SEND_SETTINGS
