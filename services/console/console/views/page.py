"""What every page has: who is here, the way to the API, how a template is filled, how a form is
sent."""

import gzip
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import wraps
from typing import Any, cast

from flask import Response, g, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import Forbidden

from console import guard
from console.clients import Api, Refusal
from console.forms import Field, Form
from console.guard import Visitor
from console.values.sealing import opens, seal

_SAID = "said"
View = Callable[..., Any]


class ProofNeeded(Exception):
    """The API wants a fresh proof of who this is before it does what the form asks."""


def optional_caller() -> Visitor:
    """Who is here. Raises SignedOut."""
    found: Visitor | None = g.get("visitor")
    if found is None:
        raise guard.SignedOut()
    return found


def api() -> Api:
    """The API in their name."""
    if "api" not in g:
        g.api = guard.api(optional_caller())
    return cast(Api, g.api)


def open_to_all(view: View) -> View:
    """Mark a page that nobody has to be signed in for."""
    view.open_to_all = True  # type: ignore[attr-defined]
    return view


def needs(operation: str) -> Callable[[View], View]:
    """Only for whom the services' tables allow this; for others the page is refused before anything
    is asked."""

    def guarded(view: View) -> View:
        @wraps(view)
        def inner(**words: Any) -> Any:
            if not optional_caller().may(operation):
                raise Forbidden("Your role does not allow this.")
            return view(**words)

        inner.operation = operation  # type: ignore[attr-defined]
        return inner

    return guarded


def form(fields: Sequence[Field], values: dict[str, Any] | None = None, *, match: str = "") -> Form:
    """The form of this request: what was sent, what was kept of it before, or these values."""
    made = Form(fields, {name: _text(value) for name, value in (values or {}).items()}, match=match)
    if request.method == "POST":
        made.take(request.form)
    elif (kept := request.args.get("draft")) and (typed := guard.draft(optional_caller(), kept)):
        made.values |= typed
        made.key, made.match = typed.get("key", made.key), typed.get("match", made.match)
        made.note = "We restored your entries. Check them, then submit again."
    return made


def stale(made: Form, values: dict[str, Any], *, match: str) -> bool:
    """Whether somebody else was faster; then the form shows what they made of it beside what was
    typed."""
    if made.refusal is None or made.refusal.status != 412:
        return False
    made.stale({name: _text(value) for name, value in values.items()}, match)
    return True


def sent(made: Form, send: Callable[[], Any]) -> Any:
    """Do what the form asks, if it was sent; what the API answered, or None where it is to be shown
    (again).

    Raises ProofNeeded, and Refusal where we are not known any more."""
    if request.method != "POST":
        return None
    try:
        if request.form.get("proof_password"):
            prove(request.form["proof_password"], request.form.get("proof_otp", ""))
        answer = send()
    except Refusal as refusal:
        if refusal.status == 401 and refusal.code not in Refusal.UNPROVED:
            raise
        if refusal.code == "step_up_required" or (
            request.form.get("proof_password") and refusal.status == 401
        ):
            g.proof_refused = refusal.detail if refusal.status == 401 else ""
            raise ProofNeeded from refusal
        made.refuse(refusal)
        return None
    return {} if answer is None else answer


def prove(password: str, otp: str) -> None:
    """A fresh proof of who this is; from now on the API is asked with the token it gave. Raises
    Refusal."""
    body = {"password": password} | ({"otp": otp.strip()} if otp.strip() else {})
    told = api().post("/v1/me/step-up", body)
    at = optional_caller().here
    guard.take_seat(
        optional_caller(),
        {"organization": at.organization, "role": at.role, **told},
        member=at.member,
    )
    g.visitor = guard.identify(optional_caller().secret, at.key)
    g.pop("api")


def show(template: str, *, status: int = 200, **words: Any) -> Response:
    """A page. With a refused form it is 422, or what the API said it was."""
    made = words.get("form")
    if isinstance(made, Form) and made.summary and status == 200:
        status = made.refusal.status if made.refusal else 422
        words["failed"] = True
    answer = make_response(render_template(template, **words), status)
    if "said" in g and g.said:
        guard.set_cookie(answer, "", part=_SAID)
    return answer


def done(words: str, endpoint: str, **where: Any) -> Response:
    """Go on to a page, which says these words once."""
    answer = cast(Response, redirect(url_for(endpoint, **where), 303))
    return guard.set_cookie(answer, seal(optional_caller().secret, words), part=_SAID, seconds=60)


def said() -> str:
    """What the page before had to say."""
    sealed = guard.cookie(_SAID)
    g.said = bool(sealed)
    return str(opens(optional_caller().secret, sealed) or "") if sealed and g.get("visitor") else ""


def safe(target: str | None) -> str:
    """A path of ours to go on to, or the beginning: never another host."""
    if not target or not target.startswith("/") or target.startswith("//"):
        return "/"
    return target if target.isprintable() and "\\" not in target else "/"


def path_of(address: str | None) -> str:
    """Path and query of an address that a browser says it is at, whatever the host; the beginning
    where there is none. We are not told by which scheme people come, so the whole address can't be
    compared."""
    behind = (address or "").partition("://")[2].partition("#")[0]
    return safe("/" + behind.partition("/")[2])


def instant(stamp: str) -> datetime:
    """An instant of the API."""
    return datetime.fromisoformat(stamp).astimezone(UTC)


def compress(answer: Response) -> Response:
    """Send text small to whoever takes it so."""
    answer.vary.add("Accept-Encoding")
    small = answer.is_streamed or answer.direct_passthrough or (answer.content_length or 0) < 1024
    if (
        small
        or "Content-Encoding" in answer.headers
        or "gzip" not in request.headers.get("Accept-Encoding", "")
    ):
        return answer
    if not (answer.mimetype or "").startswith(("text/", "image/svg", "application/json")):
        return answer
    answer.set_data(gzip.compress(answer.get_data(), 5))
    answer.headers["Content-Encoding"] = "gzip"
    return answer


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else ""
    return "" if value is None else str(value)
