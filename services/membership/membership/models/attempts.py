"""Counters of failed attempts."""

from datetime import datetime

from chassis.db.columns import Id, Instant
from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from membership.models.organizations import Base

_UNREPORTED = text("untold > 0")


class LoginFailures(Base):
    """Failed passwords in a row for an email address, known or not.

    ``key``: the SHA-256 of the address, for a known network or browser combined with it.
    ``unreported``: how many of them are not in the audit log yet."""

    __tablename__ = "login_failures"
    __table_args__ = (
        Index(
            "ix_login_failures_untold",
            "last_at",
            postgresql_where=_UNREPORTED,
            sqlite_where=_UNREPORTED,
        ),
    )
    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    identity_id: Mapped[str | None] = mapped_column(Id("idn"))
    count: Mapped[int] = mapped_column(Integer)
    unreported: Mapped[int] = mapped_column("untold", Integer)
    last_at: Mapped[datetime] = mapped_column(Instant, index=True)


class KnownClient(Base):
    """A network or browser that a person has signed in from: failed passwords from elsewhere do not
    block them there. ``client``: its SHA-256, see ``values.clients``."""

    __tablename__ = "known_clients"
    identity_id: Mapped[str] = mapped_column(
        Id("idn"), ForeignKey("identities.id"), primary_key=True
    )
    client: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    last_at: Mapped[datetime] = mapped_column(Instant, index=True)


class FailedAttempts(Base):
    """Failed attempts under a key: a PIN, all PINs of an organization, or a client network.

    ``total``: since the last success; ``recent``: since ``since``. ``blocked_until``: attempts are
    refused before."""

    __tablename__ = "guesses"
    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    total: Mapped[int] = mapped_column(Integer)
    recent: Mapped[int] = mapped_column(Integer)
    since: Mapped[datetime] = mapped_column(Instant)
    blocked_until: Mapped[datetime | None] = mapped_column("shut_until", Instant)
    last_at: Mapped[datetime] = mapped_column(Instant, index=True)
