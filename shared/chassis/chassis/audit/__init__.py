"""The audit log of a service: one chain of rows per organization.

Each row is written with the change it records, is chained to the row before it by hashes, and is
published for the merged view. What may name people (labels, changed values, reasons) enters the
chain as digests under a salt of the row's own. The salt is deleted when the names are erased: no
digest tells then what it was made from, and the chain is still whole. The same happens to the rows
that name a person who was erased, except that what they say of others stays.
"""

from chassis.audit.erasure import erase_rows, strip, without_names
from chassis.audit.hashing import digest
from chassis.audit.models import (
    BEGINNING,
    NAMINGS,
    AuditEntry,
    AuditHead,
    ErasedPerson,
    person_indexes,
)
from chassis.audit.people import (
    actors_on,
    erase_batch,
    erase_more,
    erased_people_in,
    take_out_people,
)
from chassis.audit.records import denied_recently, erase, erase_people, record
from chassis.audit.verification import chains, verify
from chassis.names import REMOVED_PERSON

__all__ = [
    "BEGINNING",
    "NAMINGS",
    "REMOVED_PERSON",
    "AuditEntry",
    "AuditHead",
    "ErasedPerson",
    "actors_on",
    "chains",
    "denied_recently",
    "digest",
    "erase",
    "erase_batch",
    "erase_more",
    "erase_people",
    "erase_rows",
    "erased_people_in",
    "person_indexes",
    "record",
    "strip",
    "take_out_people",
    "verify",
    "without_names",
]
