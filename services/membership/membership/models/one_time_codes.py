"""Authenticators and recovery codes."""

from datetime import datetime

from chassis.db.columns import BigInt, Id, Instant
from sqlalchemy import ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from membership.models.organizations import Base

TOTP = "totp"
_UNCONFIRMED = text("confirmed_at IS NULL")


class Authenticator(Base):
    """What makes a person's one-time codes, such as an app on their phone.

    ``kind``: totp. ``secret``: encrypted. Its codes are required once ``confirmed_at`` is set;
    those up to the time step ``last_step`` are used. A person has at most one unconfirmed."""

    __tablename__ = "authenticators"
    __table_args__ = (
        Index(
            "uq_authenticators_unconfirmed",
            "identity_id",
            unique=True,
            postgresql_where=_UNCONFIRMED,
            sqlite_where=_UNCONFIRMED,
        ),
    )
    id: Mapped[str] = mapped_column(Id("aut"), primary_key=True)
    identity_id: Mapped[str] = mapped_column(Id("idn"), ForeignKey("identities.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(100))
    secret: Mapped[str] = mapped_column(String(255))
    last_step: Mapped[int] = mapped_column(BigInt)
    created_at: Mapped[datetime] = mapped_column(Instant)
    confirmed_at: Mapped[datetime | None] = mapped_column(Instant)
    last_used_at: Mapped[datetime | None] = mapped_column(Instant)


class RecoveryCode(Base):
    """Replaces a one-time code, once."""

    __tablename__ = "recovery_codes"
    identity_id: Mapped[str] = mapped_column(
        Id("idn"), ForeignKey("identities.id"), primary_key=True
    )
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    used_at: Mapped[datetime | None] = mapped_column(Instant)
