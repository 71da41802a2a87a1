"""The caller that a verified token describes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chassis.auth.actor import Actor
from chassis.auth.permissions import KEY
from chassis.errors import Forbidden


class StepUpRequired(Forbidden):
    code = "step_up_required"
    detail = (
        "This action requires re-authentication. Send POST /v1/me/step-up, then try again with the "
        "new access token."
    )


@dataclass(frozen=True)
class Caller:
    """A person or an API key with a valid token, in exactly one organization.

    ``act``: the person who really acts, and how (``mode``: login_as or remote_support; ``access``:
    full or read). ``proved_at``: when the caller last authenticated, in seconds since 1970.
    ``must_step_up``: whether sensitive operations require that to be recent. ``missing``: what the
    caller has to do about their own login before anything else."""

    sub: str
    organization_id: str
    kind: str
    role: str
    sid: str
    name: str = ""
    scope: frozenset[str] = frozenset()
    act: Mapping[str, Any] | None = None
    proved_at: float = 0.0
    must_step_up: bool = False
    missing: str = ""

    @property
    def is_staff(self) -> bool:
        """Whether the caller works for the provider."""
        return self.kind == "provider"

    @property
    def is_read_only(self) -> bool:
        """Whether the caller acts for someone and may only look."""
        return self.act is not None and self.act["access"] == "read"

    def actor(self) -> Actor:
        """How audit rows name the caller."""
        if self.act:
            return Actor(kind="support", id=self.sub, label=self.name, acting=dict(self.act))
        if self.role == KEY:
            return Actor(kind=KEY, id=self.sub, label=self.name)
        return Actor(kind="staff" if self.is_staff else "member", id=self.sub, label=self.name)


def caller_of(claims: Mapping[str, Any]) -> Caller:
    """The caller that a token's claims describe."""
    return Caller(
        sub=claims["sub"],
        organization_id=claims["org"],
        kind=claims["kind"],
        role=claims["role"],
        sid=claims["sid"],
        name=claims.get("name", ""),
        scope=frozenset(claims.get("scope", "").split()),
        act=claims.get("act"),
        proved_at=float(claims.get("proved", 0)),
        must_step_up=claims.get("must_prove", False),
        missing=claims.get("missing", ""),
    )
