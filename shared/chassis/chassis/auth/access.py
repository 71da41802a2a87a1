"""Who is asking: the verified token, and the decorators by which each route declares who may call
it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from flask import current_app, g, request

from chassis.auth.callers import Caller, caller_of
from chassis.auth.permissions import Operations
from chassis.auth.tokens import Verifier, bearer
from chassis.errors import Forbidden, NotFound, Unauthenticated, Unavailable
from chassis.runtime import clock, ids

FRESH = 300  # seconds for which a proof of who they are counts
OWN = ("me.", "session.")  # what concerns nobody but the caller
_MISSING = {
    "mfa_required": "Your provider asks for one-time codes. Switch them on: POST /v1/me/totp, then …/confirm."
}
F = TypeVar("F", bound=Callable[..., Any])


class Refused(Forbidden):
    code = "forbidden"
    detail = "Your role does not allow this. Ask an owner or a manager."


class ProofNeeded(Forbidden):
    code = "step_up_required"
    detail = (
        "This action requires re-authentication. Send POST /v1/me/step-up, then try again with the "
        "new access token."
    )


class ReadOnly(Forbidden):
    code = "read_only"
    detail = "This support session is read-only. Request one with full access."


@dataclass(frozen=True)
class AccessControl:
    """What the decorators need of a service. ``provider_of``: an organization's provider, None if
    there is no such organization; ``denied``: told of every refusal for want of permission."""

    operations: Operations
    verifier: Verifier
    provider_of: Callable[[str], str | None]
    internal_callers: Mapping[str, str]
    denied: Callable[[Caller, str, str], None] = lambda caller, operation, organization: None


def current_caller() -> Caller:
    """The caller of this request, once ``requires`` has let them in."""
    caller: Caller = g.caller
    return caller


def optional_caller() -> Caller | None:
    """Whoever calls an open route with a good token all the same; None for everybody else."""
    try:
        return _authenticate()
    except (Unauthenticated, Unavailable):
        return None


def requires(operation: str) -> Callable[[F], F]:
    """The route does ``operation``: authentication, then existence for the caller, then permission,
    in this order.

    The organization is the path's ``organization_id``, or the caller's own where the path has none.
    """

    def decorate(view: F) -> F:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            g.caller = caller = _authenticate()
            organization_id = kwargs.get("organization_id", caller.organization_id)
            check_existence(organization_id)
            permit(operation, organization_id)
            try:
                return view(*args, **kwargs)
            except (
                Forbidden
            ) as refusal:  # by what only the action knew: whom they may reach, whose turn it is
                if not g.get("denied") and refusal.code != ProofNeeded.code:
                    access_control().denied(caller, operation, organization_id)
                raise

        guarded.operation = operation  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return decorate


def permit(operation: str, organization_id: str) -> None:
    """Let the caller of this request do ``operation``, for what only the body shows to be one.

    Raises Refused, ReadOnly, ProofNeeded, or Forbidden with what their login lacks; a refusal for
    want of permission is told to the access."""
    caller, access = current_caller(), access_control()
    acting = caller.act is not None
    if not access.operations.allows(
        operation, kind=caller.kind, role=caller.role, acting=acting, scope=caller.scope
    ):
        _deny(caller, operation, organization_id)
        raise Refused()
    if caller.missing and not operation.startswith(OWN):
        raise Forbidden(_MISSING.get(caller.missing, ""), code=caller.missing)
    looks_only = caller.act is not None and caller.act["access"] == "read"
    if looks_only and request.method not in ("GET", "HEAD") and not operation.startswith(OWN):
        _deny(caller, operation, organization_id)
        raise ReadOnly()
    proved = clock.now().timestamp() - caller.proved_at <= FRESH
    if (
        caller.must_prove
        and not proved
        and access.operations.wants_proof(operation, kind=caller.kind, role=caller.role)
    ):
        raise ProofNeeded()


def _deny(caller: Caller, operation: str, organization_id: str) -> None:
    g.denied = True
    access_control().denied(caller, operation, organization_id)


def public(view: F) -> F:
    """The route is open to everybody; it must stand on the short list of the house test."""
    view.operation = "public"  # type: ignore[attr-defined]
    return view


def access_control() -> AccessControl:
    access: AccessControl = current_app.extensions["access_control"]
    return access


def _authenticate() -> Caller:
    return caller_of(
        access_control().verifier.verify(bearer(request.headers.get("Authorization", "")))
    )


def check_existence(organization_id: str) -> None:
    """Whether this organization exists for the caller of this request. Raises NotFound."""
    caller = current_caller()
    if organization_id == caller.organization_id:
        return
    asked_well = caller.is_staff and ids.is_id("org", organization_id)
    if asked_well and access_control().provider_of(organization_id) == caller.organization_id:
        return
    raise NotFound("There is no such organization.", code="not_found")
