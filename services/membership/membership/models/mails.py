"""Emails to send, and the tokens in their links."""

from datetime import datetime
from typing import Any

from chassis.db.columns import BigInt, Id, Instant, Json
from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from membership.models.organizations import Base

_UNSENT = text("state = 'queued'")
_UNDO = text("purpose = 'undo'")


class Mail(Base):
    """An email to send.

    ``purpose``: those in ``lifetimes.LINK_LIFETIMES``, with a link; the others, in
    ``values.mails``, are notices. ``state``: queued, sent, dropped. The token is created when the
    email is sent, so that no raw token is ever stored. ``details``: the values in the text of a
    notice; of a change of address, what it is allowed to give. ``identity_id``: whose address
    changes. Emails about
    credits go to the billing address and have no member."""

    __tablename__ = "mails"
    __table_args__ = (
        Index("ix_mails_due", "due_at", postgresql_where=_UNSENT, sqlite_where=_UNSENT),
        Index("ix_mails_email", "email", "purpose", "created_at"),
        Index("ix_mails_undo", "created_at", postgresql_where=_UNDO, sqlite_where=_UNDO),
    )
    id: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=True)
    purpose: Mapped[str] = mapped_column(String(32))
    email: Mapped[str] = mapped_column(String(254))
    member_id: Mapped[str | None] = mapped_column(Id("mem"), index=True)
    identity_id: Mapped[str | None] = mapped_column(Id("idn"), index=True)
    details: Mapped[dict[str, Any] | None] = mapped_column("figures", Json)
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(Integer)
    due_at: Mapped[datetime] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant, index=True)


class MailedToken(Base):
    """The token in an emailed link: single use, until it expires or a newer one replaces it."""

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
