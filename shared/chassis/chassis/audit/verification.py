"""Finding damage in the chains of the audit log."""

from collections.abc import Iterator

from sqlalchemy import select, union
from sqlalchemy.orm import Session

from chassis.audit.erasure import stripped
from chassis.audit.hashing import DIGESTED_PARTS, digest, part_digests
from chassis.audit.models import BEGINNING, AuditEntry, AuditHead
from chassis.names import REMOVED_PERSON

_BATCH = 500


def chains(session: Session) -> list[str]:
    """The organizations that have a chain, or rows without one."""
    heads, rows = select(AuditHead.organization_id), select(AuditEntry.organization_id)
    return sorted(session.scalars(union(heads, rows)))


def verify(session: Session, organization_id: str) -> Iterator[str]:
    """What is wrong with the organization's chain, a line each. The session must be a snapshot."""
    head = session.get(AuditHead, organization_id) or AuditHead(number=-1, hash="", erased=False)
    number, previous_hash = 0, BEGINNING
    rows = (
        select(AuditEntry)
        .where(AuditEntry.organization_id == organization_id)
        .order_by(AuditEntry.number)
        .execution_options(yield_per=_BATCH)
    )
    for entry in session.scalars(rows):
        name = f"{entry.number} {entry.id}"
        if entry.number != number + 1:
            yield f"{name}: follows {number}, so that rows are missing or too many"
        if entry.previous_hash != previous_hash:
            yield f"{name}: does not continue the row before it"
        for problem in _problems(entry, head.erased):
            yield f"{name}: {problem}"
        number, previous_hash = entry.number, entry.hash
    if (head.number, head.hash) != (number, previous_hash):
        yield f"head: is missing, or not of the last row, {number}"


def _problems(entry: AuditEntry, chain_erased: bool) -> Iterator[str]:
    """What is wrong with one row. Of a row without digests from which names were taken only the
    place in the chain can be checked, and of one with digests what they do not cover."""
    has_lost_names = entry.erased or _names_a_removed_person(entry)
    checkable = entry.digests is not None or not has_lost_names
    if checkable and digest(entry) != entry.hash:
        yield "was changed: its hash does not match its content"
    if entry.erased and not chain_erased:
        yield "is erased, the chain is not"
    if chain_erased and not entry.erased:
        yield "names somebody, though the chain is erased"
    if entry.erased and not _is_fully_erased(entry):
        yield "is erased, but not all of it"
    if not has_lost_names or entry.salt is not None:
        yield from (f"was changed: its {part}" for part in _changed_parts(entry))


def _names_a_removed_person(entry: AuditEntry) -> bool:
    acting = entry.actor.get("acting") or {}
    names = (entry.actor.get("label"), acting.get("name"), entry.target.get("label"))
    return REMOVED_PERSON in names


def _changed_parts(entry: AuditEntry) -> list[str]:
    if entry.digests is None:
        return []
    now = part_digests(entry)
    return [part for part in DIGESTED_PARTS if now[part] != entry.digests.get(part)]


def _is_fully_erased(entry: AuditEntry) -> bool:
    left = all(getattr(entry, part) == value for part, value in stripped(entry).items())
    return left and entry.salt is None
