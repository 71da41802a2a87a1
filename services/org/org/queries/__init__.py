"""What can be read in org."""

from org.queries.deletions import NoDeletion, all_deletions, latest_deletion
from org.queries.history import trail, trail_before
from org.queries.organizations import (
    ATTENTION,
    SORTS,
    customers,
    is_erased,
    organization,
    own,
    provider_of,
)
from org.queries.receipts import changes_by_support, due_receipts
from org.queries.revocations import expired_revocations, revocation_feed
from org.queries.sagas import deletions_to_purge, open_saga, unanswered_sagas
from org.queries.settings import provider_settings

__all__ = [
    "ATTENTION",
    "SORTS",
    "NoDeletion",
    "all_deletions",
    "changes_by_support",
    "customers",
    "deletions_to_purge",
    "due_receipts",
    "expired_revocations",
    "is_erased",
    "latest_deletion",
    "open_saga",
    "organization",
    "own",
    "provider_of",
    "provider_settings",
    "revocation_feed",
    "trail",
    "trail_before",
    "unanswered_sagas",
]
