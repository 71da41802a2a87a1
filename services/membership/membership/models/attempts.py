"""Wrong guesses, counted."""

from datetime import datetime

from chassis.db.columns import Id, Instant
from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from membership.models.organizations import Base

_UNTOLD = text("untold > 0")


class LoginFailures(Base):
    """Wrong passwords in a row for an address, known or not (``key``: its SHA-256; with a known
    client's where they were tried there). ``untold``: not yet audited."""

    __tablename__ = "login_failures"
    __table_args__ = (
        Index(
            "ix_login_failures_untold", "last_at", postgresql_where=_UNTOLD, sqlite_where=_UNTOLD
        ),
    )
    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    identity_id: Mapped[str | None] = mapped_column(Id("idn"))
    count: Mapped[int] = mapped_column(Integer)
    untold: Mapped[int] = mapped_column(Integer)
    last_at: Mapped[datetime] = mapped_column(Instant, index=True)


class KnownClient(Base):
    """Where somebody has logged in from before: guesses from elsewhere do not lock them out there.
    ``client``: the SHA-256 of the network address."""

    __tablename__ = "known_clients"
    identity_id: Mapped[str] = mapped_column(
        Id("idn"), ForeignKey("identities.id"), primary_key=True
    )
    client: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    last_at: Mapped[datetime] = mapped_column(Instant, index=True)


class Guesses(Base):
    """Wrong guesses at something (``key``: a member's PIN, all PINs of an organization, logins from
    an address): since the last success (``total``), and since ``since`` (``recent``).
    ``shut_until``: no guess counts before."""

    __tablename__ = "guesses"
    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    total: Mapped[int] = mapped_column(Integer)
    recent: Mapped[int] = mapped_column(Integer)
    since: Mapped[datetime] = mapped_column(Instant)
    shut_until: Mapped[datetime | None] = mapped_column(Instant)
    last_at: Mapped[datetime] = mapped_column(Instant, index=True)
