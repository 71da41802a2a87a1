"""Login sessions, refresh tokens and revocations."""

from datetime import datetime

from chassis.db.columns import BigInt, Id, Instant
from sqlalchemy import Boolean, ForeignKey, Index, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from membership.models.organizations import Base

_ANSWERED = text("answer IS NOT NULL")


class LoginSession(Base):
    """A login session in one organization: the family of its refresh tokens.

    ``login_id``: the session of the login that it was exchanged from, None where it is that one;
    ``authenticated_at``: when the person last authenticated; ``with_otp``: also by one-time code;
    ``client_address``: from where it was last used for a new access token."""

    __tablename__ = "sessions"
    __table_args__ = (Index("ix_sessions_open", "identity_id", "ended_at"),)
    id: Mapped[str] = mapped_column(Id("ses"), primary_key=True)
    identity_id: Mapped[str] = mapped_column(Id("idn"), ForeignKey("identities.id"))
    member_id: Mapped[str] = mapped_column(Id("mem"), ForeignKey("members.id"), index=True)
    organization_id: Mapped[str] = mapped_column(
        Id("org"), ForeignKey("organizations.id"), index=True
    )
    login_id: Mapped[str | None] = mapped_column(Id("ses"))
    authenticated_at: Mapped[datetime] = mapped_column("proved_at", Instant)
    with_otp: Mapped[bool] = mapped_column(Boolean)
    user_agent: Mapped[str | None] = mapped_column(String(255))
    client_address: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(Instant)
    last_used_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant, index=True)
    idle_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_why: Mapped[str | None] = mapped_column(String(32))


class RefreshToken(Base):
    """A refresh token of a session. Using it again gets the same answer for ten seconds; after that
    it ends the session. ``answer``: encrypted under a key derived from the token; ``created_at``:
    null for older ones."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        Index(
            "ix_refresh_tokens_answered",
            "used_at",
            postgresql_where=_ANSWERED,
            sqlite_where=_ANSWERED,
        ),
    )
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    session_id: Mapped[str] = mapped_column(
        Id("ses"), ForeignKey("sessions.id", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[datetime | None] = mapped_column(Instant)
    used_at: Mapped[datetime | None] = mapped_column(Instant)
    answer: Mapped[str | None] = mapped_column(Text)


class Revocation(Base):
    """Access tokens of a session, identity or member (``kind``, ``key``) that were issued before
    ``before`` are refused."""

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
