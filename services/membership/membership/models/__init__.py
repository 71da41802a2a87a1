"""What exists: organizations as known here, people, their sessions and proofs, mails, keys, staff
who step in."""

from membership.models.attempts import Guesses, KnownClient, LoginFailures
from membership.models.keys import ApiKey, ApiKeySecret
from membership.models.mails import Mail, MailedToken
from membership.models.one_time_codes import RecoveryCode, Totp
from membership.models.organizations import Base, Organization, ProviderSettings
from membership.models.people import Identity, Member
from membership.models.sessions import Counter, LoginSession, RefreshToken, Revocation
from membership.models.support import ActingSession, SupportGrant
from membership.models.transfers import OwnershipTransfer

__all__ = [
    "ActingSession",
    "ApiKey",
    "ApiKeySecret",
    "Base",
    "Counter",
    "Guesses",
    "Identity",
    "KnownClient",
    "LoginFailures",
    "LoginSession",
    "Mail",
    "MailedToken",
    "Member",
    "Organization",
    "OwnershipTransfer",
    "ProviderSettings",
    "RecoveryCode",
    "RefreshToken",
    "Revocation",
    "SupportGrant",
    "Totp",
]
