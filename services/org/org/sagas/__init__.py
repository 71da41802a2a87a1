"""Opening, suspension, reactivation, deletion and purge of an organization, which need billing and
membership.

``table`` is the whole of it on one page; ``start`` begins sagas, ``progress`` runs them."""

from org.sagas.progress import receive_reply
from org.sagas.reconciliation import receive_report, request_reports
from org.sagas.start import start_deletion, start_opening, start_reactivation, start_suspension
from org.sagas.sweep import purge_due, resend_requests
from org.sagas.table import TABLE

__all__ = [
    "TABLE",
    "purge_due",
    "receive_reply",
    "receive_report",
    "request_reports",
    "resend_requests",
    "start_deletion",
    "start_opening",
    "start_reactivation",
    "start_suspension",
]
