"""The pages for errors: what happened and what to do next. Entered values are kept."""

from chassis.http import requests
from chassis.http.problems import status_of
from chassis.http.slots import Busy, TooManyAtOnce
from chassis.runtime import log
from flask import (
    Flask,
    Response,
    current_app,
    g,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from console.clients import Refusal
from console.guard import drafts, sessions, storage
from console.guard.forgery import Forged
from console.guard.visitors import OtherAccount, SignedOut
from console.values import endings
from console.views import page, support_sessions
from console.views.page import ReauthenticationRequired

_LOG = log.get("console")
# status -> title, and what to do next
_TEXTS = {
    400: ("The request could not be read", "Go back and try again."),
    403: ("You don't have permission", "Ask an owner or manager of your organization."),
    404: (
        "Page not found",
        "It may have been deleted, or you may not have access. Check the address.",
    ),
    405: ("This action is not available here", "Go back and use the button on the page."),
    410: ("No longer available", "This page is about something that has ended."),
    413: ("Too much data", "Send less at once."),
    429: ("Too many requests", "Wait a moment, then try again."),
    500: (
        "Something went wrong on our side",
        "Nothing was changed. Try again. If it keeps happening, contact support with the request "
        "ID below.",
    ),
    503: ("The service is temporarily unavailable", "Your data is safe. Try again in a moment."),
}


def register(app: Flask) -> None:
    """Register the error handlers."""
    app.register_error_handler(SignedOut, _signed_out)
    app.register_error_handler(OtherAccount, _other_account)
    app.register_error_handler(Forged, _forged)
    app.register_error_handler(ReauthenticationRequired, _reauthentication_required)
    app.register_error_handler(Refusal, _refused)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(TooManyAtOnce, _too_many)
    app.register_error_handler(Busy, _too_many)
    for kind in storage.UNAVAILABLE:
        app.register_error_handler(kind, _database_unavailable)
    app.register_error_handler(Exception, _crashed)


def typed() -> list[tuple[str, str]]:
    """The values of the submitted form, without secrets."""
    hidden = ("csrf", "kept", "next")
    return [
        (name, value)
        for name, value in request.form.items(multi=True)
        if name not in hidden and "password" not in name and not name.startswith("proof_")
    ]


def _signed_out(problem: SignedOut) -> ResponseReturnValue:
    if problem.acting or g.get("workspace", "").startswith("ses_"):
        visitor = g.get("visitor")
        back = support_sessions.return_url(
            visitor, visitor.workspace_or_none if visitor else None, g.get("org", "")
        )
        g.visitor = None  # the page shows no account any more
        return _error_page(
            410,
            "This support session has ended",
            "You ended it, it expired, or the customer ended it. "
            "To continue, start a new session from the member's page or from Remote Support.",
            back=back,
        )
    if request.headers.get("HX-Request"):
        shown = page.path_of(request.headers.get("HX-Current-URL"))
        to = url_for("sign_in.show", next=shown, why=problem.reason or None)
        return Response(status=401, headers={"HX-Redirect": to})
    if request.method != "POST":
        return redirect(url_for("sign_in.show", next=_where(), why=problem.reason or None), 303)
    ended = f"{endings.text(problem.reason or endings.ENDED)} Nothing was changed."
    return make_response(
        render_template("sign_in.html", next=_form(), kept=typed(), email="", ended=ended), 401
    )


def _other_account(_problem: OtherAccount) -> ResponseReturnValue:
    """Somebody else may have signed in in another tab, or this person's access has ended."""
    unchanged = "Nothing was changed. " if request.method == "POST" else ""
    return _error_page(
        404,
        _TEXTS[404][0],
        f"{unchanged}It doesn't exist, or {g.visitor.browser.email}, who is signed in now, has no "
        "access to it. If you used another account in this tab, sign in with that one.",
    )


def _refused(refusal: Refusal) -> ResponseReturnValue:
    if refusal.status == 401:
        if (visitor := g.get("visitor")) is not None and g.get("workspace"):
            sessions.delete_workspace(visitor, g.workspace)
        reason = endings.known(refusal.more.get("ended_because"))
        is_acting = g.get("workspace", "").startswith("ses_")
        return _signed_out(SignedOut(acting=is_acting, reason=reason))
    if refusal.code == "mfa_required" and refusal.status == 403 and g.get("workspace"):
        return redirect(url_for("me.security", wanted=1), 303)
    title, advice = _TEXTS.get(
        refusal.status, ("The request was refused", "Go back and try again.")
    )
    return _error_page(
        refusal.status,
        title,
        refusal.detail if refusal.status not in (404, 500) else advice,
        refusal,
    )


def _forged(_problem: Forged) -> ResponseReturnValue:
    """A form that was opened before signing in again has an old token but still holds what the user
    entered, so it is kept as a draft; a form from another site is not."""
    if g.get("visitor") and typed() and {"Sec-Fetch-Site", "Origin"} & set(request.headers.keys()):
        # check_origin has verified that the form comes from this site.
        draft = drafts.save(g.visitor, dict(typed()))
        return redirect(f"{_form()}?draft={draft}", 303)
    return _error_page(
        403, "The form could not be verified", "Open the page again and submit the form from there."
    )


def _reauthentication_required(_problem: ReauthenticationRequired) -> ResponseReturnValue:
    return make_response(
        render_template("confirm_identity.html", kept=typed(), refused=g.get("proof_refused", "")),
        403,
    )


def _http(problem: HTTPException) -> ResponseReturnValue:
    status = problem.code or 500
    if status < 400:
        return problem.get_response()
    title, advice = _TEXTS.get(status, (problem.name, "Go back and try again."))
    response = _error_page(status, title, advice)
    if allow := problem.get_response().headers.get("Allow"):
        response.headers["Allow"] = allow
    return response


def _too_many(problem: TooManyAtOnce | Busy) -> ResponseReturnValue:
    status = status_of(problem)
    refusal = Refusal(status, {"code": problem.code}, problem.extra["retry_after"])
    if status == 503:
        return _error_page(status, *_TEXTS[status], refusal)
    return _error_page(
        status,
        "Too many pages or downloads at once",
        "Wait until one of your downloads has ended, then try again.",
        refusal,
    )


def _crashed(problem: Exception) -> ResponseReturnValue:
    _LOG.error("crashed", exc_info=problem)
    return _error_page(500, *_TEXTS[500])


def _database_unavailable(problem: Exception) -> ResponseReturnValue:
    _LOG.warning("database.unavailable", exc_info=problem)
    return _error_page(503, *_TEXTS[503])


def _error_page(
    status: int, title: str, advice: str, refusal: Refusal | None = None, back: str = ""
) -> Response:
    """The page of an error; it needs neither the database nor the API."""
    response = make_response(
        render_template(
            "problem.html",
            status=status,
            title=title,
            advice=advice,
            number=requests.request_id(),
            back=back,
        ),
        status,
    )
    if status in (429, 503):
        response.headers["Retry-After"] = str((refusal and refusal.retry_after) or 1)
    return response


def _form() -> str:
    """The page with the submitted form: the same address, or for a single button the page it is
    on."""
    if current_app.url_map.bind("").test(request.path, "GET"):
        return request.path
    return page.path_of(request.referrer).partition("?")[0]


def _where() -> str:
    return page.local_path(request.full_path.rstrip("?"))
