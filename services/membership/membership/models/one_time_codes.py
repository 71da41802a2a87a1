"""Second proofs of who somebody is: one-time codes and the recovery codes beside them."""

from datetime import datetime

from chassis.db.columns import BigInt, Id, Instant
from sqlalchemy import Boolean, ForeignKey, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from membership.models.organizations import Base


class Totp(Base):
    """Somebody's one-time codes. ``secret``: encrypted; on once ``confirmed_at``; a step up to ``last_step`` is used;
    ``failures`` in a row shut it until ``shut_until``; ``short_password``: the password is too short without them."""

    __tablename__ = "totps"
    identity_id: Mapped[str] = mapped_column(
        Id("idn"), ForeignKey("identities.id"), primary_key=True
    )
    secret: Mapped[str] = mapped_column(String(255))
    confirmed_at: Mapped[datetime | None] = mapped_column(Instant)
    last_step: Mapped[int] = mapped_column(BigInt)
    failures: Mapped[int] = mapped_column(Integer)
    shut_until: Mapped[datetime | None] = mapped_column(Instant)
    short_password: Mapped[bool] = mapped_column(Boolean)


class RecoveryCode(Base):
    """A code that stands for one one-time code, once."""

    __tablename__ = "recovery_codes"
    identity_id: Mapped[str] = mapped_column(
        Id("idn"), ForeignKey("identities.id"), primary_key=True
    )
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    used_at: Mapped[datetime | None] = mapped_column(Instant)
