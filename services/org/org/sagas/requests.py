"""The requests that sagas send to the other services."""

from contracts import org

from org import values
from org.models import Organization, Saga


def open_account(organization: Organization, _saga: Saga) -> org.OpenAccount:
    """To billing, when a customer is created."""
    return org.OpenAccount(
        organization_id=organization.id,
        provider_id=organization.provider_id,
        name=organization.name,
        country=organization.country,
        currency=organization.currency,
        timezone=organization.timezone,
        payment_mode=organization.payment_mode,
        credit_limit=organization.credit_limit,
        billing=organization.billing,
        buyer_tags=organization.buyer_tags,
    )


def invite_owner(organization: Organization, _saga: Saga) -> org.InviteOwner:
    """To membership, when the account is open."""
    return org.InviteOwner(
        organization_id=organization.id,
        provider_id=organization.provider_id,
        name=organization.name,
        managed_by=organization.managed_by,
        given_name=organization.owner["given_name"],
        family_name=organization.owner["family_name"],
        email=organization.owner["email"],
    )


def close_account(organization: Organization, saga: Saga) -> org.CloseAccount:
    """To billing, when a deletion is requested."""
    return org.CloseAccount(organization_id=organization.id, deletion_id=_deletion_of(saga))


def end_access(organization: Organization, saga: Saga) -> org.EndAccess:
    """To membership, when the account is closed."""
    return org.EndAccess(organization_id=organization.id, deletion_id=_deletion_of(saga))


def seal_account(organization: Organization, saga: Saga) -> org.SealAccount:
    """To billing, when the grace period is over."""
    return org.SealAccount(organization_id=organization.id, deletion_id=_deletion_of(saga))


def erase_members(organization: Organization, saga: Saga) -> org.EraseMembers:
    """To membership, when the account is sealed."""
    return org.EraseMembers(organization_id=organization.id, deletion_id=_deletion_of(saga))


def freeze_account(organization: Organization, saga: Saga) -> org.FreezeAccount:
    """To billing, when a customer is suspended."""
    return org.FreezeAccount(organization_id=organization.id, conversation_id=saga.id)


def suspend_access(organization: Organization, saga: Saga) -> org.SuspendAccess:
    """To membership, when the account is frozen."""
    return org.SuspendAccess(organization_id=organization.id, conversation_id=saga.id)


def reopen_account(organization: Organization, saga: Saga) -> org.ReopenAccount:
    """To billing, when a suspension or a scheduled deletion is to be undone."""
    return org.ReopenAccount(
        organization_id=organization.id,
        conversation_id=saga.id,
        frozen=saga.status_after == values.SUSPENDED,
    )


def restore_access(organization: Organization, saga: Saga) -> org.RestoreAccess:
    """To membership, when the account is open again."""
    return org.RestoreAccess(
        organization_id=organization.id,
        conversation_id=saga.id,
        suspended=saga.status_after == values.SUSPENDED,
    )


def _deletion_of(saga: Saga) -> str:
    return str(saga.deletion_id)
