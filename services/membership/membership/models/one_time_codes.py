"""One-time codes and recovery codes."""

from datetime import datetime

from chassis.db.columns import BigInt, Id, Instant
from sqlalchemy import Boolean, ForeignKey, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from membership.models.organizations import Base


class Totp(Base):
    """A person's authenticator app.

    ``secret``: encrypted. Codes are required once ``confirmed_at`` is set; those up to the time
    step ``last_step`` are used. ``failures`` in a row block them until ``blocked_until``.
    ``short_password``: the password is too short to be used without codes."""

    __tablename__ = "totps"
    identity_id: Mapped[str] = mapped_column(
        Id("idn"), ForeignKey("identities.id"), primary_key=True
    )
    secret: Mapped[str] = mapped_column(String(255))
    confirmed_at: Mapped[datetime | None] = mapped_column(Instant)
    last_step: Mapped[int] = mapped_column(BigInt)
    failures: Mapped[int] = mapped_column(Integer)
    blocked_until: Mapped[datetime | None] = mapped_column("shut_until", Instant)
    short_password: Mapped[bool] = mapped_column(Boolean)


class RecoveryCode(Base):
    """Replaces a one-time code, once."""

    __tablename__ = "recovery_codes"
    identity_id: Mapped[str] = mapped_column(
        Id("idn"), ForeignKey("identities.id"), primary_key=True
    )
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    used_at: Mapped[datetime | None] = mapped_column(Instant)
