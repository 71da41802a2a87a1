"""What exists: identities, organizations as known here, members, sessions, mails and their tokens."""

from datetime import datetime
from typing import Any

from chassis.sql import BigInt, Id, Instant, Json, metadata
from sqlalchemy import Boolean, ForeignKey, Index, Integer, LargeBinary, String, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_HERE = text("status IN ('pending', 'active', 'disabled')")
_HERE_OWNER = text("role = 'owner' AND status IN ('pending', 'active', 'disabled')")
_UNSENT = text("state = 'queued'")


class Base(DeclarativeBase):
    """What membership's tables stand on."""

    metadata = metadata()


class Organization(Base):
    """An organization as membership knows it. ``state``: provisioning, open, suspended, ended, erased."""

    __tablename__ = "organizations"
    id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    provider_id: Mapped[str] = mapped_column(Id("org"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(255))
    state: Mapped[str] = mapped_column(String(16))
    managed_by: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(Instant)


class Identity(Base):
    """A person who may log in, wherever they belong. ``status``: active, erased (then without address)."""

    __tablename__ = "identities"
    id: Mapped[str] = mapped_column(Id("idn"), primary_key=True)
    email: Mapped[str | None] = mapped_column(String(254), unique=True)
    email_verified_at: Mapped[datetime | None] = mapped_column(Instant)
    given_name: Mapped[str] = mapped_column(String(255))
    family_name: Mapped[str] = mapped_column(String(255))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(16))
    last_member_id: Mapped[str | None] = mapped_column(Id("mem"))
    created_at: Mapped[datetime] = mapped_column(Instant)


class Member(Base):
    """Somebody in an organization, with a login (``identity_id``) or without. ``search`` and ``sort_name`` are case
    folded; ``status``: pending, active, disabled, and removed or erased once gone."""

    __tablename__ = "members"
    __table_args__ = (
        Index("uq_members_owner", "organization_id", unique=True, postgresql_where=_HERE_OWNER,
              sqlite_where=_HERE_OWNER),
        Index("uq_members_identity", "organization_id", "identity_id", unique=True, postgresql_where=_HERE,
              sqlite_where=_HERE),
        Index("uq_members_extension", "organization_id", "extension", unique=True, postgresql_where=_HERE,
              sqlite_where=_HERE),
        Index("ix_members_sorted", "organization_id", "sort_name", "id"),
    )
    id: Mapped[str] = mapped_column(Id("mem"), primary_key=True)
    organization_id: Mapped[str] = mapped_column(Id("org"), ForeignKey("organizations.id"))
    identity_id: Mapped[str | None] = mapped_column(Id("idn"), ForeignKey("identities.id"), index=True)
    role: Mapped[str] = mapped_column(String(16))
    preset: Mapped[str | None] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(511))
    given_name: Mapped[str | None] = mapped_column(String(255))
    family_name: Mapped[str | None] = mapped_column(String(255))
    email: Mapped[str | None] = mapped_column(String(254))
    status: Mapped[str] = mapped_column(String(16))
    verified: Mapped[bool] = mapped_column(Boolean)
    extension: Mapped[str | None] = mapped_column(String(32))
    pin_hash: Mapped[str | None] = mapped_column(String(255))
    sort_name: Mapped[str] = mapped_column(String(511))
    search: Mapped[str] = mapped_column(String(1024))
    created_at: Mapped[datetime] = mapped_column(Instant)

    @property
    def portal_access(self) -> bool:
        """Whether they may log in at all."""
        return self.identity_id is not None

    def refold(self) -> None:
        """Bring what lists sort and search by up to date."""
        self.sort_name = self.name.casefold()[:511]
        parts = (self.name, self.given_name, self.family_name, self.email, self.extension, self.id)
        self.search = "\n".join(part for part in parts if part).casefold()[:1024]


class LoginSession(Base):
    """A login in one organization: the family of refresh tokens that follow each other."""

    __tablename__ = "sessions"
    __table_args__ = (Index("ix_sessions_open", "identity_id", "ended_at"),)
    id: Mapped[str] = mapped_column(Id("ses"), primary_key=True)
    identity_id: Mapped[str] = mapped_column(Id("idn"), ForeignKey("identities.id"))
    member_id: Mapped[str] = mapped_column(Id("mem"), ForeignKey("members.id"), index=True)
    organization_id: Mapped[str] = mapped_column(Id("org"), ForeignKey("organizations.id"), index=True)
    user_agent: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(Instant)
    last_used_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant, index=True)
    idle_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_why: Mapped[str | None] = mapped_column(String(32))


class RefreshToken(Base):
    """A refresh token of a session; a used one that comes again ends the session."""

    __tablename__ = "refresh_tokens"
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    session_id: Mapped[str] = mapped_column(Id("ses"), ForeignKey("sessions.id", ondelete="CASCADE"), index=True)
    used_at: Mapped[datetime | None] = mapped_column(Instant)


class Revocation(Base):
    """Access tokens issued before ``before`` are refused: those of a session, an identity or a member."""

    __tablename__ = "revocations"
    seq: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(16))
    key: Mapped[str] = mapped_column(String(64))
    before: Mapped[datetime] = mapped_column(Instant)
    at: Mapped[datetime] = mapped_column(Instant, index=True)


class Counter(Base):
    """A number that grows in the order of commits."""

    __tablename__ = "counters"
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[int] = mapped_column(BigInt)


class LoginFailures(Base):
    """Wrong passwords in a row for an address, known or not (``key``: its SHA-256). ``untold``: not yet audited."""

    __tablename__ = "login_failures"
    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    identity_id: Mapped[str | None] = mapped_column(Id("idn"))
    count: Mapped[int] = mapped_column(Integer)
    untold: Mapped[int] = mapped_column(Integer)
    last_at: Mapped[datetime] = mapped_column(Instant, index=True)


class Mail(Base):
    """A mail to send. ``purpose``: invitation, verification, reset; ``state``: queued, sent, dropped. Its token is
    made when it is sent, so that no raw token is ever stored.

    ``figures``: what a mail about money says, which goes to an address for bills, with no token and to no member;
    its ``purpose``: credits_low, top_up_wanted."""

    __tablename__ = "mails"
    __table_args__ = (
        Index("ix_mails_due", "due_at", postgresql_where=_UNSENT, sqlite_where=_UNSENT),
        Index("ix_mails_email", "email", "purpose", "created_at"),
    )
    id: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=True)
    purpose: Mapped[str] = mapped_column(String(16))
    email: Mapped[str] = mapped_column(String(254))
    member_id: Mapped[str | None] = mapped_column(Id("mem"), index=True)
    figures: Mapped[dict[str, str] | None] = mapped_column(Json)
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(Integer)
    due_at: Mapped[datetime] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant, index=True)


class MailedToken(Base):
    """The token in a mailed link: used once, until it expires or a newer one takes its place."""

    __tablename__ = "mailed_tokens"
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    purpose: Mapped[str] = mapped_column(String(16))
    identity_id: Mapped[str] = mapped_column(Id("idn"), ForeignKey("identities.id"), index=True)
    member_id: Mapped[str | None] = mapped_column(Id("mem"), ForeignKey("members.id"), index=True)
    email: Mapped[str] = mapped_column(String(254))
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant, index=True)
    used_at: Mapped[datetime | None] = mapped_column(Instant)
    superseded_at: Mapped[datetime | None] = mapped_column(Instant)


class ProviderSettings(Base):
    """The provider's settings as last heard."""

    __tablename__ = "provider_settings"
    provider_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    version: Mapped[int] = mapped_column(BigInt)
    settings: Mapped[dict[str, Any]] = mapped_column(Json)
