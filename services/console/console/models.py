"""Browser sessions, workspace sessions and drafts."""

from datetime import datetime
from typing import Any

from chassis.db.columns import Id, Instant, Json, metadata
from sqlalchemy import ForeignKey, LargeBinary, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The console's own tables."""

    metadata = metadata()


class Browser(Base):
    """The session of a signed-in browser. ``secret_hash``: of its cookie; ``used_at``: to the
    minute."""

    __tablename__ = "browsers"

    id: Mapped[str] = mapped_column(Id("brw"), primary_key=True)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    identity_id: Mapped[str] = mapped_column(Id("idn"), index=True)
    name: Mapped[str] = mapped_column(String(520))
    email: Mapped[str] = mapped_column(String(320))
    started_at: Mapped[datetime] = mapped_column(Instant)
    used_at: Mapped[datetime] = mapped_column(Instant, index=True)


class WorkspaceSession(Base):
    """A browser's session in one workspace: one of the user's organizations, or a support session
    at a customer.

    ``key``: the id of the organization or of the support session; ``tokens``: encrypted with the
    browser's cookie, so that this table alone is of no use; ``until``: when the access token
    expires; ``act``: the API's description of a support session."""

    __tablename__ = "seats"

    browser_id: Mapped[str] = mapped_column(
        Id("brw"), ForeignKey("browsers.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    organization: Mapped[dict[str, Any]] = mapped_column(Json)
    member: Mapped[str] = mapped_column(String(520))
    role: Mapped[str] = mapped_column(String(40))
    act: Mapped[dict[str, Any] | None] = mapped_column(Json)
    tokens: Mapped[str] = mapped_column(Text)
    until: Mapped[datetime] = mapped_column(Instant)
    used_at: Mapped[datetime] = mapped_column(Instant)


class Draft(Base):
    """Values that were entered but not submitted: kept for a day, encrypted like tokens."""

    __tablename__ = "drafts"

    id: Mapped[str] = mapped_column(Id("drf"), primary_key=True)
    browser_id: Mapped[str] = mapped_column(
        Id("brw"), ForeignKey("browsers.id", ondelete="CASCADE"), index=True
    )
    fields: Mapped[str] = mapped_column(Text)
    kept_at: Mapped[datetime] = mapped_column(Instant, index=True)
