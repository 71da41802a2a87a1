"""Organizations and their providers' settings."""

from chassis import errors
from sqlalchemy import select
from sqlalchemy.orm import Session

from membership.models import Counter, Organization, ProviderSettings
from membership.queries.locking import locked
from membership.values import attempt_limits


class NoSuchOrganization(errors.NotFound):
    code = "not_found"
    detail = "There is no such organization."


def has_provider(session: Session) -> bool:
    """Whether the first provider has been created."""
    return session.get(Counter, "provider") is not None


def provider_of(session: Session, organization_id: str) -> str | None:
    """The provider of this organization; a provider is its own. None if there is no such
    organization."""
    return session.scalar(
        select(Organization.provider_id).where(Organization.id == organization_id)
    )


def organization(session: Session, organization_id: str, *, lock: str = "") -> Organization:
    """The organization; ``lock`` as in ``locked``. Raises NoSuchOrganization."""
    query = select(Organization).where(Organization.id == organization_id)
    organization = session.scalars(locked(query, lock)).one_or_none()
    if organization is None:
        raise NoSuchOrganization()
    return organization


def requires_codes(session: Session, organization_id: str) -> bool:
    """Whether the organization requires one-time codes of its people."""
    query = select(Organization.mfa_required).where(Organization.id == organization_id)
    return session.scalar(query) is True


def settings_of(session: Session, provider_id: str, *, lock: str = "") -> ProviderSettings | None:
    """The provider's settings as last received from org."""
    query = select(ProviderSettings).where(ProviderSettings.provider_id == provider_id)
    return session.scalars(locked(query, lock)).one_or_none()


def invitations_per_hour(session: Session, provider_id: str) -> int:
    """How many invitations the provider lets its staff send in an hour."""
    known = settings_of(session, provider_id)
    chosen = known.settings.get("invitations_per_hour") if known else None
    return chosen or attempt_limits.INVITATIONS_PER_HOUR
