"""The hashes that chain the rows of the audit log."""

import hashlib
import json
from typing import Any

from chassis.audit.erasure import NAMING_PARTS, without_names
from chassis.runtime import clock

DIGESTED_PARTS = (*NAMING_PARTS, "reason")
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(entry: Any) -> str:
    """SHA-256 over the hash of the row before and this row's canonical JSON."""
    row: dict[str, Any] = {
        "id": entry.id,
        "organization_id": entry.organization_id,
        "number": entry.number,
        "at": clock.stamp(entry.at),
        "action": entry.action,
        "outcome": entry.outcome,
        "request_id": entry.request_id,
    }
    for part in NAMING_PARTS:
        value = getattr(entry, part)
        # The oldest rows have no digests: their id was the salt, their reason stood in clear.
        row[part] = _salted(entry.id, value) if entry.digests is None else without_names(value)
    if entry.digests is None:
        row["reason"] = entry.reason
    else:
        row["digests"] = entry.digests
    return hashlib.sha256(f"{entry.previous_hash}\n{_canonical(row)}".encode()).hexdigest()


def part_digests(entry: Any) -> dict[str, str]:
    """A digest of each part that may name people, under the row's salt."""
    return {part: _salted(entry.salt, getattr(entry, part)) for part in DIGESTED_PARTS}


def _salted(salt: str | None, part: object) -> str:
    return hashlib.sha256(f"{salt}\n{_canonical(part)}".encode()).hexdigest()


def _canonical(part: object) -> str:
    return _ENCODER.encode(part)
