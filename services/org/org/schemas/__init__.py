"""What crosses org's HTTP boundary."""

from org.schemas.deletions import Deletion, DeletionCheck, Reason, with_remedies
from org.schemas.history import AuditRow, TimelineRow, TrailQuery
from org.schemas.organizations import (
    Empty,
    ListedOrganization,
    ListQuery,
    NewOrganization,
    Organization,
    OrganizationPatch,
    RequiredReason,
)
from org.schemas.settings import Settings, SettingsPatch

__all__ = [
    "AuditRow",
    "Deletion",
    "DeletionCheck",
    "Empty",
    "ListQuery",
    "ListedOrganization",
    "NewOrganization",
    "Organization",
    "OrganizationPatch",
    "Reason",
    "RequiredReason",
    "Settings",
    "SettingsPatch",
    "TimelineRow",
    "TrailQuery",
    "with_remedies",
]
