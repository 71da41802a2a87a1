"""The audit log of a service: one chain of rows per organization.

Each row is written with the change it records, is chained to the row before it by hashes, and is
published for the merged view. What may name people (labels, changed values, reasons) enters the
chain as digests under a salt of the row's own. The salt is deleted when the names are erased: no
digest tells then what it was made from, and the chain is still whole.
"""

from chassis.audit.erasure import erase_rows, strip, without_names
from chassis.audit.hashing import digest
from chassis.audit.models import BEGINNING, AuditEntry, AuditHead
from chassis.audit.records import denied_recently, erase, record
from chassis.audit.verification import chains, verify

__all__ = [
    "BEGINNING",
    "AuditEntry",
    "AuditHead",
    "chains",
    "denied_recently",
    "digest",
    "erase",
    "erase_rows",
    "record",
    "strip",
    "verify",
    "without_names",
]
