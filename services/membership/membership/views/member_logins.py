"""What owners, admins and the provider do with the logins of members. The responses say nothing
about the member."""

from collections.abc import Callable
from typing import Any

from chassis.auth.access import current_caller, requires
from chassis.http import idempotency
from chassis.http.parsing import Blueprint
from chassis.runtime import clock
from flask import Response

from membership import guard, schemas
from membership.actions import member_logins
from membership.views import resources

blp = Blueprint(
    "member_logins", __name__, url_prefix="/v1/organizations", description="Logins of members"
)


@blp.route("/<organization_id>/members/<member_id>/end-sessions", methods=["POST"])
@requires("member.end_sessions")
@blp.response(202, schemas.Accepted)
def end_sessions(organization_id: str, member_id: str) -> Response:
    """End the member's sessions in this organization. The member is notified by email; the response
    is the same for every member that the caller's rank reaches."""
    return _act(member_logins.end_sessions, organization_id, member_id)


@blp.route("/<organization_id>/members/<member_id>/reset-mfa", methods=["POST"])
@requires("member.reset_mfa")
@blp.response(202, schemas.Accepted)
def reset_codes(organization_id: str, member_id: str) -> Response:
    """Turn off the one-time codes of a member who has lost them: at once where the person belongs
    to no other organization, otherwise once they have followed the emailed link and given their
    password. So it is too where the provider does it for the owner or an admin of a customer that
    manages itself. One's own codes stay on. The person is always notified by email, and the
    response is the same for every member that the caller's rank reaches."""
    return _act(
        member_logins.reset_codes,
        organization_id,
        member_id,
        unknown_hash=resources.unknown_hash(),
    )


def _act(
    action: Callable[..., None], organization_id: str, member_id: str, **more: str
) -> Response:
    caller = current_caller()

    def act(session: Any) -> dict[str, Any]:
        action(
            session,
            organization_id=organization_id,
            member_id=member_id,
            authority=guard.authority_over_logins(caller, organization_id),
            by=caller.actor(),
            now=clock.now(),
            **more,
        )
        return {"accepted": True}

    return idempotency.change(schemas.Accepted(), act, status=202)
