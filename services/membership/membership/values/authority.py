"""What a caller may do with the members of an organization."""

from dataclasses import dataclass

# Who gave a member their access.
BY_ORGANIZATION, BY_PROVIDER = "organization", "provider"


@dataclass(frozen=True, kw_only=True)
class Authority:
    """``ranks``: of the members whom the caller may add and change. ``of_provider``: whether the
    caller is the provider's staff or API key, in a customer's organization. ``admits_admins``:
    whether the caller may give people the power of an admin or owner."""

    ranks: frozenset[str]
    of_provider: bool = False
    admits_admins: bool = True

    @property
    def admitted_by(self) -> str:
        """Whose decision it is if the caller gives somebody access."""
        return BY_PROVIDER if self.of_provider else BY_ORGANIZATION
