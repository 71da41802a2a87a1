"""What the console keeps: who is signed in with which browser, where, and what they have not
finished typing."""

from datetime import datetime
from typing import Any

from chassis.db.columns import Id, Instant, Json, metadata
from sqlalchemy import ForeignKey, LargeBinary, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The console's own tables."""

    metadata = metadata()


class Browser(Base):
    """A browser somebody is signed in with. ``secret_hash``: of its cookie; ``used_at``: to the
    minute."""

    __tablename__ = "browsers"

    id: Mapped[str] = mapped_column(Id("ses"), primary_key=True)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    identity_id: Mapped[str] = mapped_column(Id("idn"))
    name: Mapped[str] = mapped_column(String(520))
    email: Mapped[str] = mapped_column(String(320))
    started_at: Mapped[datetime] = mapped_column(Instant)
    used_at: Mapped[datetime] = mapped_column(Instant, index=True)


class WorkspaceSession(Base):
    """A place somebody has taken: one of their organizations, or a customer's in whose place they
    act.

    ``key``: the organization's id, or the id of the acting session; ``tokens``: sealed by the browser's cookie, so that
    this table alone opens nothing; ``until``: when the access token ends; ``act``: as the API says it, for acting."""

    __tablename__ = "seats"

    browser_id: Mapped[str] = mapped_column(
        Id("ses"), ForeignKey("browsers.id", ondelete="CASCADE"), primary_key=True
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
    """What somebody typed and has not sent: kept a day, sealed like tokens."""

    __tablename__ = "drafts"

    id: Mapped[str] = mapped_column(Id("evt"), primary_key=True)
    browser_id: Mapped[str] = mapped_column(
        Id("ses"), ForeignKey("browsers.id", ondelete="CASCADE"), index=True
    )
    fields: Mapped[str] = mapped_column(Text)
    kept_at: Mapped[datetime] = mapped_column(Instant, index=True)
