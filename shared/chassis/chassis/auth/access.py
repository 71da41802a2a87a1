"""Access control: the verified caller of a request, and the decorators by which each route
declares who may call it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from flask import current_app, g, request
from werkzeug.exceptions import HTTPException

from chassis.auth.bearer import bearer
from chassis.auth.callers import Caller, StepUpRequired, caller_of
from chassis.auth.permissions import Operations
from chassis.errors import Failure, Forbidden, NotFound, Unauthenticated, Unavailable
from chassis.runtime import clock, ids

if TYPE_CHECKING:
    from chassis.auth.tokens import Verifier

STEP_UP_SECONDS = 300  # how long a re-authentication counts
OWN_OPERATIONS = ("me.", "session.")  # operations that concern only the caller
_MISSING = {
    "mfa_required": (
        "Your organization requires one-time codes. Turn them on first: POST /v1/me/totp, "
        "then POST /v1/me/totp/confirm."
    )
}
F = TypeVar("F", bound=Callable[..., Any])


class PermissionDenied(Forbidden):
    code = "forbidden"
    detail = "Your role does not allow this. Ask an owner or a manager."


class ReadOnly(Forbidden):
    code = "read_only"
    detail = "This support session is read-only. Request one with full access."


class NoSuchOrganization(NotFound):
    code = "not_found"
    detail = "There is no such organization."


@dataclass(frozen=True)
class AccessControl:
    """What the decorators need of a service.

    ``provider_of``: the provider of an organization, None if there is no such organization.
    ``denied``: called for every refusal for lack of permission, with the caller, the operation and
    the organization."""

    operations: Operations
    verifier: "Verifier"
    provider_of: Callable[[str], str | None]
    internal_callers: Mapping[str, str]
    denied: Callable[[Caller, str, str], None] = lambda caller, operation, organization: None


def access_control() -> AccessControl:
    """The access control of the current application."""
    attached: AccessControl = current_app.extensions["access_control"]
    return attached


def current_caller() -> Caller:
    """The caller of this request, once ``requires`` has admitted them."""
    caller: Caller = g.caller
    return caller


def optional_caller() -> Caller | None:
    """The caller of a public route, None without a valid token."""
    try:
        return _authenticate()
    except (Unauthenticated, Unavailable):
        return None


def public(view: F) -> F:
    """The route is open to everyone; a test of the architecture lists these routes."""
    view.operation = "public"  # type: ignore[attr-defined]
    return view


def requires(operation: str, *, view_checks: bool = False) -> Callable[[F], F]:
    """The route performs ``operation``. Checks, in this order: the token, whether the organization
    exists for the caller, permission.

    The organization is the path's ``organization_id``; the caller's own if the path has none, or
    where the operation concerns only the caller. ``view_checks``: the view's own statements check
    that it belongs to ``provider_to_check``, so that what succeeds needs no look-up; before a
    refusal is returned it is looked up."""

    def decorate(view: F) -> F:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            g.caller = caller = _authenticate()
            organization_id = caller.organization_id
            if not operation.startswith(OWN_OPERATIONS):
                organization_id = kwargs.get("organization_id", organization_id)
            provider_to_check(organization_id)
            is_unchecked = (
                view_checks and not caller.is_read_only and _is_allowed(caller, operation)
            )
            if not is_unchecked:
                check_existence(organization_id)
            is_permitted = False
            try:
                permit(operation, organization_id)
                is_permitted = True
                return view(*args, **kwargs)
            except (Failure, HTTPException) as failure:
                if is_unchecked:
                    check_existence(organization_id)
                if is_permitted and isinstance(failure, Forbidden):
                    _note_refusal(failure, caller, operation, organization_id)
                raise

        guarded.operation = operation  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return decorate


def provider_to_check(organization_id: str) -> str | None:
    """The provider that the organization must belong to, so that it exists for the caller of this
    request; None if it is the caller's own. Raises NoSuchOrganization if it cannot exist for
    them."""
    caller = current_caller()
    if organization_id == caller.organization_id:
        return None
    if caller.is_staff and ids.is_id("org", organization_id):
        return caller.organization_id
    raise NoSuchOrganization()


def check_existence(organization_id: str) -> None:
    """Raise NoSuchOrganization unless the organization exists for the caller of this request."""
    provider_id = provider_to_check(organization_id)
    if provider_id and access_control().provider_of(organization_id) != provider_id:
        raise NoSuchOrganization()


def permit(operation: str, organization_id: str, *, refusal: str = "") -> None:
    """Check that the caller of this request may perform ``operation``, also one that only the body
    reveals. ``refusal``: what to say to those who may not.

    Raises PermissionDenied, ReadOnly, StepUpRequired, or Forbidden with what the caller's login
    lacks. Refusals for lack of permission are reported to the access control."""
    caller, operations = current_caller(), access_control().operations
    is_own = operation.startswith(OWN_OPERATIONS)
    if not _is_allowed(caller, operation):
        _deny(caller, operation, organization_id)
        raise PermissionDenied(refusal)
    if caller.missing and not is_own:
        raise Forbidden(_MISSING.get(caller.missing, ""), code=caller.missing)
    if caller.is_read_only and request.method not in ("GET", "HEAD") and not is_own:
        _deny(caller, operation, organization_id)
        raise ReadOnly()
    if _lacks_step_up(caller) and operations.requires_step_up(
        operation, kind=caller.kind, role=caller.role
    ):
        raise StepUpRequired()


def _is_allowed(caller: Caller, operation: str) -> bool:
    return access_control().operations.allows(
        operation,
        kind=caller.kind,
        role=caller.role,
        acting=caller.act is not None,
        scope=caller.scope,
    )


def _lacks_step_up(caller: Caller) -> bool:
    age = clock.now().timestamp() - caller.proved_at
    return caller.must_step_up and age > STEP_UP_SECONDS


def _note_refusal(refusal: Forbidden, caller: Caller, operation: str, organization_id: str) -> None:
    """The action refused for a reason that the table of operations cannot express."""
    if not g.get("denied") and refusal.code != StepUpRequired.code:
        access_control().denied(caller, operation, organization_id)


def _deny(caller: Caller, operation: str, organization_id: str) -> None:
    g.denied = True
    access_control().denied(caller, operation, organization_id)


def _authenticate() -> Caller:
    token = bearer(request.headers.get("Authorization", ""))
    return caller_of(access_control().verifier.verify(token))
