"""Identities and members."""

from datetime import datetime

from chassis.db.columns import Id, Instant
from sqlalchemy import Boolean, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column, validates

from membership.models.organizations import Base
from membership.values.authority import BY_ORGANIZATION, BY_PROVIDER
from membership.values.roles import OWNER

_REMOVED = text("status = 'removed'")
_CURRENT = text("status IN ('pending', 'active', 'disabled')")
_CURRENT_OWNER = text("role = 'owner' AND status IN ('pending', 'active', 'disabled')")


class Identity(Base):
    """A person who may log in, in whichever organizations they are members. ``status``: active or
    erased (then without an address). ``pending_email``: the person's new address, until it is
    proved. ``code_failures`` in a row block the one-time codes until ``codes_blocked_until``.
    ``short_password``: the password is too short to be used without codes."""

    __tablename__ = "identities"
    id: Mapped[str] = mapped_column(Id("idn"), primary_key=True)
    email: Mapped[str | None] = mapped_column(String(254), unique=True)
    email_verified_at: Mapped[datetime | None] = mapped_column(Instant)
    given_name: Mapped[str] = mapped_column(String(255))
    family_name: Mapped[str] = mapped_column(String(255))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    pending_email: Mapped[str | None] = mapped_column(String(254))
    status: Mapped[str] = mapped_column(String(16))
    last_member_id: Mapped[str | None] = mapped_column(Id("mem"))
    code_failures: Mapped[int] = mapped_column(Integer, default=0)
    codes_blocked_until: Mapped[datetime | None] = mapped_column(Instant)
    short_password: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[datetime] = mapped_column(Instant)

    @property
    def name(self) -> str:
        """The person's own name, for all organizations; empty before they have joined one."""
        return f"{self.given_name} {self.family_name}".strip()


class Member(Base):
    """A person in an organization, with a login (``identity_id``) or without.

    ``name``: their own, once they have joined. ``label``: the organization's name for them where it
    is another one, and as long as they have not joined. ``pending_email``: the address to which
    somebody else moves this membership, until it is proved.
    ``status``: pending, active, disabled, removed, erased. ``search`` and ``sort_name`` are case
    folded. ``invited_at``, ``invited_by``: when the last link was requested, and by which
    identity. ``admitted_by``: who added the member, made them an admin, or set their address: the
    organization, or its provider (also where nobody knows)."""

    __tablename__ = "members"
    __table_args__ = (
        Index(
            "uq_members_owner",
            "organization_id",
            unique=True,
            postgresql_where=_CURRENT_OWNER,
            sqlite_where=_CURRENT_OWNER,
        ),
        Index(
            "uq_members_identity",
            "organization_id",
            "identity_id",
            unique=True,
            postgresql_where=_CURRENT,
            sqlite_where=_CURRENT,
        ),
        Index(
            "uq_members_extension",
            "organization_id",
            "extension",
            unique=True,
            postgresql_where=_CURRENT,
            sqlite_where=_CURRENT,
        ),
        Index("ix_members_sorted", "organization_id", "sort_name", "id"),
        Index("ix_members_removed", "id", postgresql_where=_REMOVED, sqlite_where=_REMOVED),
    )
    id: Mapped[str] = mapped_column(Id("mem"), primary_key=True)
    organization_id: Mapped[str] = mapped_column(Id("org"), ForeignKey("organizations.id"))
    identity_id: Mapped[str | None] = mapped_column(
        Id("idn"), ForeignKey("identities.id"), index=True
    )
    role: Mapped[str] = mapped_column(String(16))
    preset: Mapped[str | None] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(511))
    given_name: Mapped[str | None] = mapped_column(String(255))
    family_name: Mapped[str | None] = mapped_column(String(255))
    label: Mapped[str | None] = mapped_column(String(511))
    email: Mapped[str | None] = mapped_column(String(254))
    pending_email: Mapped[str | None] = mapped_column(String(254))
    status: Mapped[str] = mapped_column(String(16))
    verified: Mapped[bool] = mapped_column(Boolean)
    extension: Mapped[str | None] = mapped_column(String(32))
    pin_hash: Mapped[str | None] = mapped_column(String(255))
    sort_name: Mapped[str] = mapped_column(String(511))
    search: Mapped[str] = mapped_column(String(1024))
    invited_at: Mapped[datetime | None] = mapped_column(Instant)
    invited_by: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(Instant)
    last_signed_in_at: Mapped[datetime | None] = mapped_column(Instant)
    admitted_by: Mapped[str] = mapped_column(String(16), server_default=BY_PROVIDER)

    @validates("identity_id")
    def _forget_last_sign_in(self, _name: str, identity_id: str | None) -> str | None:
        """It is about the person, so it does not pass to another one."""
        if identity_id != self.identity_id:
            self.last_signed_in_at = None
        return identity_id

    @property
    def confirmed(self) -> bool:
        """Whether the organization itself gave this person access, or has confirmed it since: only
        then may they consent to support."""
        return self.role == OWNER or self.admitted_by == BY_ORGANIZATION

    @property
    def portal_access(self) -> bool:
        """Whether the member has a login."""
        return self.identity_id is not None

    @property
    def shown_name(self) -> str:
        """The name by which the organization knows the person."""
        return self.label or self.name

    def update_search(self) -> None:
        """Update the columns by which lists sort and search."""
        self.sort_name = self.shown_name.casefold()[:511]
        names = (self.label, self.name, self.given_name, self.family_name)
        parts = (*names, self.email, self.extension, self.id)
        self.search = "\n".join(part for part in parts if part).casefold()[:1024]
