"""Login As and Remote Support: grants, and the sessions in which staff act."""

from datetime import datetime

from chassis.db.columns import Id, Instant
from sqlalchemy import ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from membership.models.organizations import Base
from membership.values.support import SUPPORT_SUBJECT_PREFIX

_OPEN_GRANT = text("status IN ('pending', 'active')")
_OPEN = text("ended_at IS NULL")


class SupportGrant(Base):
    """A customer's permission for provider staff to enter its organization.

    ``status``: pending (waiting for consent), active, refused, ended, expired. ``access``: full or
    read. ``expires_at``: of the request while it is pending, of the grant afterwards.
    ``requested_by``, ``decided_by``: identities, with their names at the time until they are
    erased; nobody decides where the provider manages the organization. ``warned_at``: when the
    owner was warned that it ends."""

    __tablename__ = "support_grants"
    __table_args__ = (
        Index("ix_support_grants_organization", "organization_id", "id"),
        Index(
            "ix_support_grants_open",
            "expires_at",
            postgresql_where=_OPEN_GRANT,
            sqlite_where=_OPEN_GRANT,
        ),
        Index(
            "ix_support_grants_provider",
            "provider_id",
            "id",
            postgresql_where=_OPEN_GRANT,
            sqlite_where=_OPEN_GRANT,
        ),
    )
    id: Mapped[str] = mapped_column(Id("grt"), primary_key=True)
    organization_id: Mapped[str] = mapped_column(Id("org"), ForeignKey("organizations.id"))
    provider_id: Mapped[str] = mapped_column(Id("org"))
    status: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(500))
    access: Mapped[str] = mapped_column(String(8))
    minutes: Mapped[int] = mapped_column(Integer)
    requested_by: Mapped[str] = mapped_column(String(64), index=True)
    requested_by_name: Mapped[str] = mapped_column(String(511))
    requested_at: Mapped[datetime] = mapped_column(Instant)
    decided_by: Mapped[str | None] = mapped_column(String(64), index=True)
    decided_by_name: Mapped[str | None] = mapped_column(String(511))
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_why: Mapped[str | None] = mapped_column(String(32))
    warned_at: Mapped[datetime | None] = mapped_column(Instant)

    def is_active(self, now: datetime) -> bool:
        """Whether staff may enter under it."""
        return self.status == "active" and self.expires_at > now


class ActingSession(Base):
    """Provider staff inside a customer's organization.

    ``mode``: login_as (as ``member_id``) or remote_support (under ``grant_id``). The id is the
    ``sid`` of the token. It ends with the staff member's own session ``staff_session_id``; nobody
    has two at a time."""

    __tablename__ = "acting_sessions"
    __table_args__ = (
        Index("ix_acting_sessions_organization", "organization_id", "id"),
        Index("ix_acting_sessions_staff", "staff_identity_id", "started_at"),
        Index(
            "uq_acting_sessions_staff_open",
            "staff_identity_id",
            unique=True,
            postgresql_where=_OPEN,
            sqlite_where=_OPEN,
        ),
        Index(
            "ix_acting_sessions_provider",
            "provider_id",
            "id",
            postgresql_where=_OPEN,
            sqlite_where=_OPEN,
        ),
        Index("ix_acting_sessions_due", "expires_at", postgresql_where=_OPEN, sqlite_where=_OPEN),
        Index(
            "ix_acting_sessions_staff_session",
            "staff_session_id",
            postgresql_where=_OPEN,
            sqlite_where=_OPEN,
        ),
    )
    id: Mapped[str] = mapped_column(Id("ses"), primary_key=True)
    mode: Mapped[str] = mapped_column(String(16))
    access: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str] = mapped_column(String(500))
    staff_identity_id: Mapped[str] = mapped_column(Id("idn"))
    staff_member_id: Mapped[str] = mapped_column(Id("mem"))
    staff_name: Mapped[str] = mapped_column(String(511))
    staff_session_id: Mapped[str] = mapped_column(Id("ses"))
    provider_id: Mapped[str] = mapped_column(Id("org"))
    organization_id: Mapped[str] = mapped_column(Id("org"), ForeignKey("organizations.id"))
    member_id: Mapped[str | None] = mapped_column(Id("mem"), ForeignKey("members.id"), index=True)
    grant_id: Mapped[str | None] = mapped_column(
        Id("grt"), ForeignKey("support_grants.id"), index=True
    )
    started_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_why: Mapped[str | None] = mapped_column(String(32))

    def act(self) -> dict[str, str]:
        """The ``act`` claim of tokens and audit records: who really acts, and how."""
        act = {
            "sub": self.staff_identity_id,
            "org": self.provider_id,
            "sid": self.staff_session_id,
            "mode": self.mode,
            "access": self.access,
            "name": self.staff_name,
            "acting": self.id,
        }
        if self.grant_id:
            act["grant"] = self.grant_id
        return act

    @property
    def principal(self) -> str:
        """The subject of a Remote Support session, which acts as no member."""
        return f"{SUPPORT_SUBJECT_PREFIX}{self.grant_id}"
