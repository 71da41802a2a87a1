"""The tables of org, and the rules that each model enforces."""

from org.models.deletions import Deletion, GraceOver
from org.models.fields import Field
from org.models.history import ClientAddress, TrailEntry
from org.models.organizations import (
    FIELDS,
    PATCHABLE,
    Organization,
    OrganizationClosing,
    OrganizationDeleted,
    OrganizationProvisioning,
    ProviderRoot,
    ReactivationInProgress,
    SuspendedForDeletion,
)
from org.models.receipts import Receipt
from org.models.reconciliation import Check, Difference, ReconciliationPass
from org.models.revocations import Revocation
from org.models.sagas import Saga
from org.models.settings import ProviderSettings
from org.models.table import Base

__all__ = [
    "FIELDS",
    "PATCHABLE",
    "Base",
    "Check",
    "ClientAddress",
    "Deletion",
    "Difference",
    "Field",
    "GraceOver",
    "Organization",
    "OrganizationClosing",
    "OrganizationDeleted",
    "OrganizationProvisioning",
    "ProviderRoot",
    "ProviderSettings",
    "ReactivationInProgress",
    "Receipt",
    "ReconciliationPass",
    "Revocation",
    "Saga",
    "SuspendedForDeletion",
    "TrailEntry",
]
