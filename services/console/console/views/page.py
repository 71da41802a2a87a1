"""What all pages share: the visitor, the API, templates, forms."""

import gzip
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import wraps
from typing import Any, cast

from flask import Response, g, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import Forbidden

from console.clients import Api, Refusal
from console.forms import Field, Form
from console.guard import api_access, cookies, drafts, sessions, visitors
from console.guard.visitors import Visitor
from console.values import amounts, days
from console.values.sealing import opens, seal

DAYS_REVERSED = "Enter a day that is not before “From”."
_FLASH = "flash"
View = Callable[..., Any]


class ReauthenticationRequired(Exception):
    """The API requires re-authentication before it does what the form asks."""


def visitor() -> Visitor:
    """The signed-in user. Raises SignedOut."""
    visitor_or_none: Visitor | None = g.get("visitor")
    if visitor_or_none is None:
        raise visitors.SignedOut()
    return visitor_or_none


def api() -> Api:
    """The API on their behalf."""
    if "api" not in g:
        g.api = api_access.api(visitor())
    return cast(Api, g.api)


def open_to_all(view: View) -> View:
    """Mark a page that needs no sign-in."""
    view.open_to_all = True  # type: ignore[attr-defined]
    return view


def require(operation: str) -> None:
    """Raise Forbidden unless the user's role allows this operation, by the tables of the
    services."""
    if not visitor().may(operation):
        raise Forbidden("Your role does not allow this.")


def needs(operation: str) -> Callable[[View], View]:
    """Only for users whose role allows this operation."""

    def guarded(view: View) -> View:
        @wraps(view)
        def inner(**words: Any) -> Any:
            require(operation)
            return view(**words)

        inner.operation = operation  # type: ignore[attr-defined]
        return inner

    return guarded


def form(fields: Sequence[Field], values: dict[str, Any] | None = None, *, match: str = "") -> Form:
    """The form of this request, with the submitted values, those of a draft, or these."""
    submitted = Form(fields, _texts(fields, values or {}), match=match)
    if request.method == "POST":
        submitted.load(request.form)
    elif (kept := request.args.get("draft")) and (typed := drafts.load(visitor(), kept)):
        submitted.values |= typed
        submitted.key = typed.get("key", submitted.key)
        submitted.match = typed.get("match", submitted.match)
        submitted.note = "We restored your entries. Check them, then submit again."
    return submitted


def show_conflict(submitted: Form, values: dict[str, Any], *, match: str) -> bool:
    """Whether somebody else changed the resource meanwhile; then the form shows both values."""
    if submitted.refusal is None or submitted.refusal.status != 412:
        return False
    submitted.show_conflict(_texts(submitted.fields, values), match)
    return True


def submit(submitted: Form, send: Callable[[], Any]) -> Any:
    """Submit the form if it was sent; the result of the API, or None if the form is to be shown
    (again).

    Raises ReauthenticationRequired, and Refusal if the session has ended."""
    if request.method != "POST":
        return None
    submitted.check_amounts()
    if submitted.summary:
        submitted.check_required()
        return None
    try:
        if request.form.get("proof_password"):
            reauthenticate(request.form["proof_password"], request.form.get("proof_otp", ""))
        response = send()
    except Refusal as refusal:
        if refusal.status == 401 and refusal.code not in Refusal.WRONG_CREDENTIALS:
            raise
        if refusal.code == "step_up_required" or (
            request.form.get("proof_password") and refusal.status == 401
        ):
            g.proof_refused = refusal.detail if refusal.status == 401 else ""
            raise ReauthenticationRequired from refusal
        submitted.show_refusal(refusal)
        return None
    return {} if response is None else response


def reauthenticate(password: str, otp: str) -> None:
    """Re-authenticate; from now on the token from it is used. Raises Refusal."""
    body = {"password": password} | ({"otp": otp.strip()} if otp.strip() else {})
    granted = api().post("/v1/me/step-up", body)
    at = visitor().workspace
    sessions.save_workspace(
        visitor(),
        {"organization": at.organization, "role": at.role, **granted},
        member=at.member,
    )
    g.visitor = sessions.identify(visitor().secret, at.key)
    g.pop("api")


def show(template: str, *, status: int = 200, **words: Any) -> Response:
    """A page. With a refused form its status is 422, or that of the refusal."""
    submitted = words.get("form")
    if isinstance(submitted, Form) and submitted.summary and status == 200:
        status = submitted.refusal.status if submitted.refusal else 422
        words["failed"] = True
    response = make_response(render_template(template, **words), status)
    if "flash" in g and g.flash:
        cookies.write(response, "", part=_FLASH)
    return response


def check_days() -> None:
    """Raise Refusal if the list is filtered by days of which the first is the later."""
    if days.are_reversed(request.args.get("from"), request.args.get("to")):
        error = {"pointer": "/to", "code": "order", "detail": DAYS_REVERSED}
        raise Refusal(422, {"code": "invalid", "errors": [error]})


def done(words: str, endpoint: str, **where: Any) -> Response:
    """Redirect to a page, which shows this message once."""
    response = cast(Response, redirect(url_for(endpoint, **where), 303))
    return cookies.write(response, seal(visitor().secret, words), part=_FLASH, seconds=60)


def flash_message() -> str:
    """The message of the previous page."""
    sealed = cookies.read(_FLASH)
    g.flash = bool(sealed)
    return str(opens(visitor().secret, sealed) or "") if sealed and g.get("visitor") else ""


def local_path(target: str | None) -> str:
    """A path of ours to redirect to, or ``/``: never another host."""
    if not target or not target.startswith("/") or target.startswith("//"):
        return "/"
    return target if target.isprintable() and "\\" not in target else "/"


def path_of(address: str | None) -> str:
    """Path and query of an address that the browser reports, whatever its host; ``/`` if there is
    none. The scheme that people use is not known here, so the whole address cannot be compared."""
    behind = (address or "").partition("://")[2].partition("#")[0]
    return local_path("/" + behind.partition("/")[2])


def instant(stamp: str) -> datetime:
    """An instant of the API."""
    return datetime.fromisoformat(stamp).astimezone(UTC)


def compress(response: Response) -> Response:
    """Compress a text response if the browser accepts it."""
    response.vary.add("Accept-Encoding")
    small = (
        response.is_streamed or response.direct_passthrough or (response.content_length or 0) < 1024
    )
    if (
        small
        or "Content-Encoding" in response.headers
        or "gzip" not in request.headers.get("Accept-Encoding", "")
    ):
        return response
    if not (response.mimetype or "").startswith(("text/", "image/svg", "application/json")):
        return response
    response.set_data(gzip.compress(response.get_data(), 5))
    response.headers["Content-Encoding"] = "gzip"
    return response


def _texts(fields: Sequence[Field], values: Mapping[str, Any]) -> dict[str, str]:
    """The values as they stand in the fields."""
    amount_names = {field.name for field in fields if field.kind == "money"}
    return {
        name: amounts.in_field(_text(value)) if name in amount_names else _text(value)
        for name, value in values.items()
    }


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else ""
    return "" if value is None else str(value)
