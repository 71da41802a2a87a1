"""Who may do what, and what a token says of whoever holds it. ``x`` may, ``!`` may after a fresh
proof where the provider asks for one, ``-`` may not; customers reach their own organization only.
An API key may do what its scopes say."""

from datetime import datetime
from typing import Any

from chassis import audit
from chassis.auth.access import AccessControl
from chassis.auth.callers import Caller
from chassis.auth.internal import parse_callers
from chassis.auth.permissions import KEY, Operations
from chassis.auth.tokens import AUDIENCE, Verifier
from chassis.db.database import Database
from chassis.http import requests
from chassis.runtime import clock, ids

from membership import queries
from membership.actions import audit_log
from membership.actions.sessions import Issued
from membership.queries.support import Inside
from membership.values import roles
from membership.values.lifetimes import ACCESS
from membership.values.signing import Signer
from membership.values.support import SUPPORT, Staff

OPERATIONS = Operations.parse("""
#                     | provider's staff                     | customer's people | acts  | scopes of API keys
#                     | owner manager billing support viewer | owner admin member|       | provider's   customer's
me.read               |   x      x       x       x      x    |   x     x     x   |   x   | -            -
me.secure             |   x      x       x       x      x    |   x     x     x   |   -   | -            -
session.list          |   x      x       x       x      x    |   x     x     x   |   -   | -            -
session.exchange      |   x      x       x       x      x    |   x     x     x   |   -   | -            -
session.end           |   x      x       x       x      x    |   x     x     x   |   x   | -            -
session.end_others    |   x      x       x       x      x    |   x     x     x   |   -   | -            -
key.list              |   x      x       -       -      -    |   x     -     -   |   -   | -            -
key.manage            |   !      !       -       -      -    |   !     -     -   |   -   | -            -
pin.verify            |   -      -       -       -      -    |   -     -     -   |   -   | pin:verify   pin:verify
member.list           |   x      x       x       x      x    |   x     x     -   |   x   | cust:read    members:read
member.read           |   x      x       x       x      x    |   x     x     -   |   x   | cust:read    members:read
member.add            |   x      x       -       x      -    |   x     x     -   |   -   | member:manage members:invite
member.update         |   x      x       -       x      -    |   x     x     -   |   x   | member:manage members:edit
member.change_login   |   !      !       -       !      -    |   !     !     -   |   -   | member:manage members:edit
member.disable        |   x      x       -       x      -    |   x     x     -   |   -   | member:manage members:edit
member.enable         |   x      x       -       x      -    |   x     x     -   |   -   | member:manage members:edit
member.remove         |   x      x       -       -      -    |   x     x     -   |   -   | member:manage members:remove
member.resend         |   x      x       -       x      -    |   x     x     -   |   x   | member:manage members:invite
member.reset_password |   x      x       -       x      -    |   x     x     -   |   -   | member:manage members:edit
member.reset_pin      |   x      x       -       x      -    |   x     x     -   |   -   | member:manage pin:reset
member.login_as       |   !      !       -       -      -    |   -     -     -   |   -   | -            -
ownership.read        |   x      x       x       x      x    |   x     x     x   |   x   | cust:read    members:read
ownership.transfer    |   !      !       -       -      -    |   !     -     -   |   -   | -            -
ownership.accept      |   -      !       !       !      !    |   !     !     !   |   -   | -            -
ownership.undo        |   !      !       -       -      -    |   x     -     -   |   -   | -            -
support.overview      |   x      x       x       x      x    |   -     -     -   |   -   | cust:read    -
support.read          |   x      x       x       x      x    |   x     x     -   |   x   | cust:read    members:read
support.request       |   x      x       -       x      -    |   -     -     -   |   -   | -            -
support.consent       |   -      -       -       -      -    |   !     !     -   |   -   | -            -
support.enter         |   x      x       -       x      -    |   -     -     -   |   -   | -            -
support.end           |   x      x       -       x      -    |   x     x     -   |   -   | -            -
""")


def access_control(database: Database, signer: Signer, internal_callers: str) -> AccessControl:
    """The service's door; it checks tokens by its own keys."""

    def provider_of(organization_id: str) -> str | None:
        with database.reading() as session:
            return queries.provider_of(session, organization_id)

    def denied(caller: Caller, operation: str, organization_id: str) -> None:
        elsewhere = (
            caller.is_staff and caller.role != KEY and organization_id != caller.organization_id
        )
        stepping_in = elsewhere and operation.startswith(("support.", "member.login_as"))
        by, now = (
            audit_log.support_actor(staff_of(caller)) if stepping_in else caller.actor(),
            clock.now(),
        )
        with database.transaction(correlation=requests.request_id()) as session:
            if not audit.denied_recently(session, organization_id, operation, by=by, now=now):
                organization = queries.organization(session, organization_id)
                audit_log.record(
                    session,
                    operation,
                    organization=organization,
                    by=by,
                    now=now,
                    outcome="denied",
                    reason="forbidden",
                )

    return AccessControl(
        OPERATIONS, Verifier(signer), provider_of, parse_callers(internal_callers), denied
    )


def staff_of(caller: Caller) -> Staff:
    """The caller as one of the provider's staff."""
    return Staff(
        identity_id=caller.sub,
        organization_id=caller.organization_id,
        session_id=caller.sid,
        role=caller.role,
        name=caller.name,
    )


def reach(caller: Caller, organization_id: str) -> frozenset[str]:
    """The roles of the members this caller may make and change there. Nobody raises another to
    their own height but an owner, and the provider's managers in their customers' organizations; no
    program makes staff."""
    if caller.role == "owner":
        return frozenset(("owner", "admin", "member"))
    if caller.role == KEY and organization_id == caller.organization_id:
        return frozenset(() if caller.is_staff else ("member",))
    if caller.is_staff and organization_id != caller.organization_id:
        return frozenset(
            ("owner", "admin", "member") if caller.role == "manager" else ("admin", "member")
        )
    return frozenset(("member",) if caller.role in ("admin", "manager") else ())


def grantable(caller: Caller) -> frozenset[str]:
    """The scopes this caller may give an API key: those a key can have there, and none that their
    role lacks."""
    return roles.key_scopes(caller.kind).intersection(roles.scopes(caller.kind, caller.role))


def claims(issued: Issued, now: datetime) -> dict[str, Any]:
    """What the access token of a session says."""
    member, organization = issued.place
    role = roles.in_token(organization.kind, member.role, member.preset)
    at = now.timestamp()
    return {
        "iss": AUDIENCE,
        "aud": AUDIENCE,
        "sub": issued.identity.id,
        "org": organization.id,
        "kind": organization.kind,
        "role": role,
        "scope": " ".join(roles.scopes(organization.kind, role)),
        "sid": issued.login.id,
        "mid": member.id,
        "name": member.name,
        "iat": at,
        "nbf": at,
        "exp": at + ACCESS.total_seconds(),
        "jti": ids.new("evt"),
        "proved": issued.login.proved_at.timestamp(),
    } | _demanded(issued)


def _demanded(issued: Issued) -> dict[str, Any]:
    missing = (
        {"missing": "mfa_required"} if issued.demands.codes and not issued.login.with_otp else {}
    )
    return missing | ({"must_prove": True} if issued.demands.proofs else {})


def claims_of_key(used: queries.KeyInUse, now: datetime) -> dict[str, Any]:
    """What the access token of an API key says; it ends with the key, and with the secret that was
    used."""
    key, organization = used.key, used.organization
    at = now.timestamp()
    ends = [end for end in (now + ACCESS, key.expires_at, used.secret_ends_at) if end is not None]
    return {
        "iss": AUDIENCE,
        "aud": AUDIENCE,
        "sub": key.id,
        "org": organization.id,
        "kind": organization.kind,
        "role": KEY,
        "scope": " ".join(key.scopes),
        "sid": key.id,
        "name": key.name,
        "iat": at,
        "nbf": at,
        "exp": min(ends).timestamp(),
        "jti": ids.new("evt"),
    }


def claims_of_acting(inside: Inside) -> dict[str, Any]:
    """What the access token of staff who act says: whose place they are in, and in ``act`` who they
    are. It lasts as long as the acting."""
    acting, organization, member = inside
    role = member.role if member else roles.OWNER
    at = acting.started_at.timestamp()
    whose = (
        {"sub": member.identity_id, "mid": member.id, "name": member.name}
        if member
        else {"sub": acting.principal, "name": SUPPORT}
    )
    return whose | {
        "iss": AUDIENCE,
        "aud": AUDIENCE,
        "org": organization.id,
        "kind": organization.kind,
        "role": role,
        "scope": " ".join(roles.scopes_inside(role, reads_only=acting.access == "read")),
        "sid": acting.id,
        "iat": at,
        "nbf": at,
        "exp": acting.expires_at.timestamp(),
        "jti": ids.new("evt"),
        "act": acting.act(),
        "proved": 0,
    }
