"""Who may do what, and the claims of tokens.

``x``: allowed; ``!``: allowed after a recent re-authentication where the provider requires it;
``-``: not allowed. Customers reach only their own organization. API keys may do what their scopes
allow."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from chassis import audit
from chassis.auth.access import AccessControl
from chassis.auth.actor import Actor
from chassis.auth.callers import Caller
from chassis.auth.internal import parse_callers
from chassis.auth.permissions import KEY, Operations
from chassis.auth.tokens import AUDIENCE, Verifier
from chassis.db.database import Database
from chassis.http import context
from chassis.runtime import clock, ids

from membership import queries
from membership.actions import audit_log
from membership.actions.sessions import Issued
from membership.queries.support import ActiveSession
from membership.values import roles
from membership.values.authority import Authority
from membership.values.lifetimes import ACCESS_TOKEN
from membership.values.signing import Signer
from membership.values.support import SUPPORT, Staff

OPERATIONS = Operations.parse("""
#                     | provider's staff                     | customer's people |acting | scopes of API keys
#                     | owner manager billing support viewer | owner admin member|       | provider's   customer's
me.read               |   x      x       x       x      x    |   x     x     x   |   x   | -            -
me.update             |   x      x       x       x      x    |   x     x     x   |   -   | -            -
me.leave              |   x      x       x       x      x    |   x     x     x   |   -   | -            -
me.secure             |   x      x       x       x      x    |   x     x     x   |   -   | -            -
session.list          |   x      x       x       x      x    |   x     x     x   |   -   | -            -
session.exchange      |   x      x       x       x      x    |   x     x     x   |   -   | -            -
session.end           |   x      x       x       x      x    |   x     x     x   |   x   | -            -
session.end_others    |   x      x       x       x      x    |   x     x     x   |   -   | -            -
key.list              |   x      x       -       -      -    |   x     -     -   |   -   | -            -
key.manage            |   !      !       -       -      -    |   !     -     -   |   -   | -            -
key.adopt             |   !      -       -       -      -    |   !     -     -   |   -   | -            -
pin.verify            |   -      -       -       -      -    |   -     -     -   |   -   | pin:verify   pin:verify
member.list           |   x      x       x       x      x    |   x     x     x   |   x   | cust:read    members:read
member.read           |   x      x       x       x      x    |   x     x     x   |   x   | cust:read    members:read
member.add            |   x      x       -       x      -    |   x     x     -   |   -   | member:manage members:invite
member.update         |   x      x       -       x      -    |   x     x     -   |   x   | member:manage members:edit
member.change_login   |   !      !       -       !      -    |   !     !     -   |   -   | member:manage members:edit
member.disable        |   x      x       -       x      -    |   x     x     -   |   -   | member:manage members:edit
member.enable         |   x      x       -       x      -    |   x     x     -   |   -   | member:manage members:edit
member.remove         |   x      x       -       -      -    |   x     x     -   |   -   | member:manage members:remove
member.resend         |   x      x       -       x      -    |   x     x     -   |   x   | member:manage members:invite
member.reset_password |   x      x       -       x      -    |   x     x     -   |   -   | member:manage members:edit
member.reset_pin      |   x      x       -       x      -    |   x     x     -   |   -   | member:manage pin:reset
member.reset_mfa      |   !      !       -       -      -    |   !     !     -   |   -   | -            -
member.end_sessions   |   !      !       -       -      -    |   !     !     -   |   -   | -            -
member.confirm        |   -      -       -       -      -    |   x     -     -   |   -   | -            -
member.login_as       |   !      !       -       -      -    |   -     -     -   |   -   | -            -
ownership.read        |   x      x       x       x      x    |   x     x     x   |   x   | cust:read    members:read
ownership.transfer    |   !      !       -       -      -    |   !     -     -   |   -   | -            -
ownership.accept      |   -      !       !       !      !    |   !     !     !   |   -   | -            -
ownership.undo        |   !      !       -       -      -    |   x     x     -   |   -   | -            -
support.overview      |   x      x       x       x      x    |   -     -     -   |   -   | cust:read    -
support.read          |   x      x       x       x      x    |   x     x     -   |   x   | cust:read    members:read
support.request       |   x      x       -       x      -    |   -     -     -   |   -   | -            -
support.consent       |   -      -       -       -      -    |   !     !     -   |   -   | -            -
support.enter         |   x      x       -       x      -    |   -     -     -   |   -   | -            -
support.end           |   x      x       -       x      -    |   x     x     -   |   -   | -            -
""")


def access_control(database: Database, signer: Signer, internal_callers: str) -> AccessControl:
    """The service's access control, which verifies tokens with its own keys."""

    def provider_of(organization_id: str) -> str | None:
        with database.reading() as session:
            return queries.provider_of(session, organization_id)

    def denied(caller: Caller, operation: str, organization_id: str) -> None:
        """Audit a denied operation, unless the same one was audited lately."""
        by = _actor_for_audit(caller, operation, organization_id)
        now = clock.now()
        with context.transaction() as session:
            if audit.denied_recently(session, organization_id, operation, by=by, now=now):
                return
            audit_log.record(
                session,
                operation,
                organization=queries.organization(session, organization_id),
                by=by,
                now=now,
                outcome="denied",
                reason="forbidden",
            )

    return AccessControl(
        OPERATIONS, Verifier(signer), provider_of, parse_callers(internal_callers), denied
    )


def _actor_for_audit(caller: Caller, operation: str, organization_id: str) -> Actor:
    """Customers do not see which staff member tried to enter."""
    is_support = operation.startswith(("support.", "member.login_as"))
    is_elsewhere = organization_id != caller.organization_id
    if is_support and is_elsewhere and caller.is_staff and caller.role != KEY:
        return audit_log.support_actor(staff_of(caller))
    return caller.actor()


def staff_of(caller: Caller) -> Staff:
    """The caller as a member of the provider's staff."""
    return Staff(
        identity_id=caller.sub,
        organization_id=caller.organization_id,
        session_id=caller.sid,
        role=caller.role,
        name=caller.name,
    )


def sees_names_only(caller: Caller) -> bool:
    """Whether the caller sees nothing of the other members but names and roles."""
    return caller.kind == "customer" and caller.role == roles.MEMBER


def authority(caller: Caller, organization_id: str) -> Authority:
    """What this caller may do with the members there."""
    at_home = organization_id == caller.organization_id
    return Authority(
        ranks=_manageable_ranks(caller, at_home=at_home),
        of_provider=caller.is_staff and not at_home,
        admits_admins=not (caller.is_staff and caller.role == "support"),
    )


def authority_over_logins(caller: Caller, organization_id: str) -> Authority:
    """What this caller, an owner, admin or manager, may do with how the members there sign in: also
    with those of their own rank, whom only an owner may change."""
    given = authority(caller, organization_id)
    return replace(given, ranks=given.ranks | {"admin"})


def _manageable_ranks(caller: Caller, *, at_home: bool) -> frozenset[str]:
    """The ranks of members that this caller may create and change there.

    Nobody raises another person to their own role, except owners, and the provider's managers in
    their customers' organizations. API keys create no staff."""
    if caller.role == "owner":
        return frozenset(("owner", "admin", "member"))
    if caller.role == KEY and at_home:
        return frozenset() if caller.is_staff else frozenset(("member",))
    if caller.is_staff and not at_home:
        if caller.role == "manager":
            return frozenset(("owner", "admin", "member"))
        return frozenset(("admin", "member"))
    if caller.role in ("admin", "manager"):
        return frozenset(("member",))
    return frozenset()


def grantable(caller: Caller) -> frozenset[str]:
    """The scopes that this caller may give an API key: those a key can have there and the caller's
    role has."""
    return roles.grantable(caller.kind, caller.role)


def claims(issued: Issued, now: datetime) -> dict[str, Any]:
    """The claims of a session's access token."""
    member, organization = issued.membership
    role = roles.in_token(organization.kind, member.role, member.preset)
    claims = {
        "sub": issued.identity.id,
        "org": organization.id,
        "kind": organization.kind,
        "role": role,
        "scope": " ".join(roles.scopes(organization.kind, role)),
        "sid": issued.login.id,
        "mid": member.id,
        "name": member.name,
        "proved": issued.login.authenticated_at.timestamp(),
    }
    if issued.requirements.codes and not issued.login.with_otp:
        claims["missing"] = "mfa_required"
    if issued.requirements.reauthentication:
        claims["must_prove"] = True
    return claims | _validity(now, now + ACCESS_TOKEN)


def claims_of_key(used: queries.KeyWithOrganization, now: datetime) -> dict[str, Any]:
    """The claims of an API key's access token. It expires no later than the key and the secret
    that was used."""
    key, organization = used.key, used.organization
    ends = [now + ACCESS_TOKEN, key.expires_at, used.secret_ends_at]
    claims = {
        "sub": key.id,
        "org": organization.id,
        "kind": organization.kind,
        "role": KEY,
        "scope": " ".join(key.scopes),
        "sid": key.id,
        "name": key.name,
    }
    return claims | _validity(now, min(end for end in ends if end is not None))


def claims_of_acting(active: ActiveSession) -> dict[str, Any]:
    """The claims of an acting session's token: whom the staff member acts as, and in ``act`` who
    they are. It lasts as long as the session."""
    acting, organization, member = active
    role = member.role if member else roles.OWNER
    claims = {
        "sub": acting.principal,
        "name": SUPPORT,
        "org": organization.id,
        "kind": organization.kind,
        "role": role,
        "scope": " ".join(roles.scopes_for_support(role, reads_only=acting.access == "read")),
        "sid": acting.id,
        "act": acting.act(),
        "proved": 0,
    }
    if member:
        claims |= {"sub": member.identity_id, "mid": member.id, "name": member.name}
    return claims | _validity(acting.started_at, acting.expires_at)


def _validity(issued_at: datetime, expires_at: datetime) -> dict[str, Any]:
    at = issued_at.timestamp()
    return {
        "iss": AUDIENCE,
        "aud": AUDIENCE,
        "iat": at,
        "nbf": at,
        "exp": expires_at.timestamp(),
        "jti": ids.new("evt"),
    }
