"""Who may do what, and what a token says of whoever holds it."""

from datetime import datetime
from typing import Any

from chassis import clock, ids
from chassis.caller import AUDIENCE, Caller, Door, Verifier, parse_callers
from chassis.permissions import Operations
from chassis.sql import Database

from membership import queries
from membership.actions import telling
from membership.actions.sessions import Issued
from membership.values import roles
from membership.values.lifetimes import ACCESS
from membership.values.signing import Signer

OPERATIONS = Operations.parse(
    """
    # operation                provider's staff                         customer's people     whoever
    #                     owner manager billing support viewer          owner admin member    acts
    me.read             | x     x       x       x       x             | x     x     x       | x
    session.list        | x     x       x       x       x             | x     x     x       | -
    session.exchange    | x     x       x       x       x             | x     x     x       | -
    session.end         | x     x       x       x       x             | x     x     x       | x
    member.list         | x     x       x       x       x             | x     x     -       | x
    member.read         | x     x       x       x       x             | x     x     -       | x
    member.add          | x     x       -       x       -             | x     x     -       | -
    member.update       | x     x       -       x       -             | x     x     -       | -
    member.disable      | x     x       -       x       -             | x     x     -       | -
    member.enable       | x     x       -       x       -             | x     x     -       | -
    member.remove       | x     x       -       -       -             | x     x     -       | -
    member.resend       | x     x       -       x       -             | x     x     -       | x
    """
)


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
        "exp": at + ACCESS.total_seconds(), "jti": ids.new("evt"),
    }
