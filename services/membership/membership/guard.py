"""Who may do what, and what a token says of whoever holds it. ``x`` may, ``!`` may after a fresh proof where the
provider asks for one, ``-`` may not; customers reach their own organization only. An API key may do what its scopes
say."""

from datetime import datetime
from typing import Any

from chassis import clock, ids
from chassis.caller import AUDIENCE, Caller, Door, Verifier, parse_callers
from chassis.permissions import KEY, Operations
from chassis.sql import Database

from membership import queries
from membership.actions import telling
from membership.actions.sessions import Issued
from membership.values import roles
from membership.values.lifetimes import ACCESS
from membership.values.signing import Signer

OPERATIONS = Operations.parse("""
#                     | provider's staff                     | customer's people | acts  | scopes of API keys
#                     | owner manager billing support viewer | owner admin member|       | provider's    customer's
me.read               |   x      x       x       x      x    |   x     x     x   |   x   | -             -
me.secure             |   x      x       x       x      x    |   x     x     x   |   -   | -             -
session.list          |   x      x       x       x      x    |   x     x     x   |   -   | -             -
session.exchange      |   x      x       x       x      x    |   x     x     x   |   -   | -             -
session.end           |   x      x       x       x      x    |   x     x     x   |   x   | -             -
key.list              |   x      x       -       -      -    |   x     -     -   |   -   | -             -
key.manage            |   !      !       -       -      -    |   !     -     -   |   -   | -             -
pin.verify            |   -      -       -       -      -    |   -     -     -   |   -   | pin:verify    pin:verify
member.list           |   x      x       x       x      x    |   x     x     -   |   x   | cust:read     members:read
member.read           |   x      x       x       x      x    |   x     x     -   |   x   | cust:read     members:read
member.add            |   x      x       -       x      -    |   x     x     -   |   -   | member:manage members:invite
member.update         |   x      x       -       x      -    |   x     x     -   |   x   | member:manage members:edit
member.change_login   |   x      x       -       x      -    |   x     x     -   |   -   | member:manage members:edit
member.disable        |   x      x       -       x      -    |   x     x     -   |   -   | member:manage members:edit
member.enable         |   x      x       -       x      -    |   x     x     -   |   -   | member:manage members:edit
member.remove         |   x      x       -       -      -    |   x     x     -   |   -   | member:manage members:remove
member.resend         |   x      x       -       x      -    |   x     x     -   |   x   | member:manage members:invite
member.reset_password |   x      x       -       x      -    |   x     x     -   |   -   | member:manage members:edit
member.reset_pin      |   x      x       -       x      -    |   x     x     -   |   -   | member:manage pin:reset
member.login_as       |   !      !       -       -      -    |   -     -     -   |   -   | -             -
ownership.read        |   x      x       x       x      x    |   x     x     x   |   x   | cust:read     members:read
ownership.transfer    |   !      !       -       -      -    |   !     -     -   |   -   | -             -
ownership.accept      |   -      -       -       -      -    |   !     !     !   |   -   | -             -
ownership.undo        |   !      !       -       -      -    |   x     -     -   |   -   | -             -
support.overview      |   x      x       x       x      x    |   -     -     -   |   -   | cust:read     -
support.read          |   x      x       x       x      x    |   x     x     -   |   x   | cust:read     members:read
support.request       |   x      x       -       x      -    |   -     -     -   |   -   | -             -
support.consent       |   -      -       -       -      -    |   x     x     -   |   -   | -             -
support.enter         |   x      x       -       x      -    |   -     -     -   |   -   | -             -
support.end           |   x      x       -       x      -    |   x     x     -   |   -   | -             -
""")


def door(database: Database, signer: Signer, internal_callers: str) -> Door:
    """The service's door; it checks tokens by its own keys."""

    def provider_of(organization_id: str) -> str | None:
        with database.reading() as session:
            return queries.provider_of(session, organization_id)

    def denied(caller: Caller, operation: str, organization_id: str) -> None:
        with database.transaction() as session:
            organization = queries.organization(session, organization_id)
            telling.record(
                session, operation, organization=organization, by=caller.actor(), now=clock.now(), outcome="denied",
                reason="forbidden",
            )

    return Door(OPERATIONS, Verifier(signer), provider_of, parse_callers(internal_callers), denied)


def reach(caller: Caller, organization_id: str) -> frozenset[str]:
    """The roles of the members this caller may make and change there. Nobody raises another to their own height but
    an owner, and the provider's managers in their customers' organizations."""
    if caller.role == "owner":
        return frozenset(("owner", "admin", "member"))
    if caller.role == KEY:
        return frozenset(("admin", "member") if organization_id != caller.organization_id else ("member",))
    if caller.is_staff and organization_id != caller.organization_id:
        return frozenset(("owner", "admin", "member") if caller.role == "manager" else ("admin", "member"))
    return frozenset(("member",) if caller.role in ("admin", "manager") else ())


def claims(issued: Issued, now: datetime) -> dict[str, Any]:
    """What the access token of a session says."""
    member, organization = issued.place
    role = roles.in_token(organization.kind, member.role, member.preset)
    at = now.timestamp()
    return {
        "iss": AUDIENCE, "aud": AUDIENCE, "sub": issued.identity.id, "org": organization.id,
        "kind": organization.kind, "role": role, "scope": " ".join(roles.scopes(organization.kind, role)),
        "sid": issued.login.id, "mid": member.id, "name": member.name, "iat": at, "nbf": at,
        "exp": at + ACCESS.total_seconds(), "jti": ids.new("evt"), "proved": issued.login.proved_at.timestamp(),
    }
