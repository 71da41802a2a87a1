"""The caller that a verified token describes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chassis.auth.actor import Actor
from chassis.auth.permissions import KEY


@dataclass(frozen=True)
class Caller:
    """Somebody with a valid token, in exactly one organization. ``act``: who really acts, and how (``mode``
    login_as or remote_support; ``access`` full or read); ``proved_at``: when they last proved who they are, and
    ``must_prove``: whether dangerous operations want that to be fresh; ``missing``: what they have to do about their
    own login before anything else."""

    sub: str
    organization_id: str
    kind: str
    role: str
    sid: str
    name: str = ""
    scope: frozenset[str] = frozenset()
    act: Mapping[str, Any] | None = None
    proved_at: float = 0.0
    must_prove: bool = False
    missing: str = ""

    @property
    def is_staff(self) -> bool:
        """Whether they work for the provider."""
        return self.kind == "provider"

    def actor(self) -> Actor:
        """How audit rows name them."""
        if self.act:
            return Actor(kind="support", id=self.sub, label=self.name, acting=dict(self.act))
        kind = "staff" if self.is_staff else "member"
        return Actor(kind=KEY if self.role == KEY else kind, id=self.sub, label=self.name)


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
        must_prove=claims.get("must_prove", False),
        missing=claims.get("missing", ""),
    )
