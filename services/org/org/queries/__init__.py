"""What can be read in org."""

from org.queries.deletions import NoDeletion, all_deletions, latest_deletion
from org.queries.history import known_entries, trail, trail_before
from org.queries.organizations import (
    ATTENTION,
    SORTS,
    contained,
    customers,
    deleted_among,
    lock_organizations,
    organization,
    own,
    provider_of,
    show_listed,
)
from org.queries.receipts import changes_by_support, due_receipts
from org.queries.reconciliation import (
    CHECK_AGAIN_AFTER,
    checks,
    count_differences,
    current_pass,
    differences,
    differences_with,
    has_check,
    in_sagas,
    known,
    own_state,
    own_states,
    settings_versions,
    to_check_again,
    unanswered,
)
from org.queries.revocations import expired_revocations, revocation_feed
from org.queries.sagas import deletions_to_purge, open_saga, unanswered_sagas
from org.queries.settings import provider_settings

__all__ = [
    "ATTENTION",
    "CHECK_AGAIN_AFTER",
    "SORTS",
    "NoDeletion",
    "all_deletions",
    "changes_by_support",
    "checks",
    "contained",
    "count_differences",
    "current_pass",
    "customers",
    "deleted_among",
    "deletions_to_purge",
    "differences",
    "differences_with",
    "due_receipts",
    "expired_revocations",
    "has_check",
    "in_sagas",
    "known",
    "known_entries",
    "latest_deletion",
    "lock_organizations",
    "open_saga",
    "organization",
    "own",
    "own_state",
    "own_states",
    "provider_of",
    "provider_settings",
    "revocation_feed",
    "settings_versions",
    "show_listed",
    "to_check_again",
    "trail",
    "trail_before",
    "unanswered",
    "unanswered_sagas",
]
