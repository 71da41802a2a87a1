"""The tables: organizations, people, sessions, credentials, emails, API keys and support."""

from membership.models.attempts import FailedAttempts, KnownClient, LoginFailures
from membership.models.keys import ApiKey, ApiKeySecret
from membership.models.mails import Mail, MailedToken
from membership.models.one_time_codes import TOTP, Authenticator, RecoveryCode
from membership.models.organizations import Base, Organization, ProviderSettings
from membership.models.people import Identity, Member
from membership.models.sessions import Counter, LoginSession, RefreshToken, Revocation
from membership.models.support import ActingSession, SupportGrant
from membership.models.transfers import OwnershipTransfer

__all__ = [
    "TOTP",
    "ActingSession",
    "ApiKey",
    "ApiKeySecret",
    "Authenticator",
    "Base",
    "Counter",
    "FailedAttempts",
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
]
