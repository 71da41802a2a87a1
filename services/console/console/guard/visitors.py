"""The signed-in user of a request, and what their role allows."""

from dataclasses import dataclass, field

from console.models import Browser
from console.models import WorkspaceSession as WorkspaceSession  # noqa: PLC0414 - for the views
from console.values.operations import Permit, reads_only


class SignedOut(Exception):
    """Nobody is signed in with this browser; ``acting``: it was a support session that ended.
    ``reason``: of ``values.endings``, empty for somebody who was not signed in."""

    def __init__(self, *, acting: bool = False, reason: str = "") -> None:
        self.acting, self.reason = acting, reason
        super().__init__()


class OtherAccount(Exception):
    """The page is in a workspace that the signed-in user does not have."""


@dataclass(frozen=True)
class Visitor:
    """A signed-in user, in the workspace that the address names."""

    secret: str = field(repr=False)
    browser: Browser
    workspace_or_none: WorkspaceSession | None

    @property
    def workspace(self) -> WorkspaceSession:
        """The workspace session of this request. Raises SignedOut if the user has none."""
        if self.workspace_or_none is None:
            raise SignedOut()
        return self.workspace_or_none

    @property
    def is_staff(self) -> bool:
        """Whether the workspace belongs to a provider."""
        return bool(self.workspace.organization["kind"] == "provider")

    def may(self, operation: str) -> bool:
        """Whether the role of this workspace allows an operation, by the services' own tables. The
        services check again."""
        workspace = self.workspace
        is_acting = workspace.act is not None
        permit = Permit.of(operation)
        if not permit.allows(workspace.organization["kind"], workspace.role, acting=is_acting):
            return False
        has_full_access = workspace.act is None or workspace.act["access"] != "read"
        return has_full_access or reads_only(operation)
