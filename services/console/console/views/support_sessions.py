"""Support sessions: log in as a member, and end a session."""

from typing import Any

from flask import Blueprint, Response, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response as AnyResponse

from console.clients import Refusal, fetch_all
from console.forms import Form
from console.forms import support as fields
from console.guard import sessions
from console.guard.visitors import Visitor, WorkspaceSession
from console.values import people
from console.views import page
from console.views.page import needs

blp = Blueprint("support_sessions", __name__)


@blp.route("/c/<org>/members/<member>/login-as", methods=["GET", "POST"])
@needs("member.login_as")
def start(org: str, member: str) -> ResponseReturnValue:
    """Log in as a member, with a reason. ``?reason=``: its initial value."""
    api, base = page.api(), f"/v1/organizations/{org}"
    form = page.form(fields.LOGIN_AS, {"reason": request.args.get("reason", "")})
    responses = fetch_all(
        organization=lambda: api.get(base), member=lambda: api.get(f"{base}/members/{member}")
    )
    for response in responses.values():
        if not response:
            raise response.refusal
    granted = page.submit(
        form,
        lambda: page.api().post(f"{base}/members/{member}/login-as", form.body(), key=form.key),
    )
    if granted is not None:
        return start_session(granted, people.name(responses["member"]))
    return show_start(
        "support_session_start.html",
        form,
        obstacle=_obstacle(responses["organization"], responses["member"]),
        **responses,
    )


def start_session(granted: dict[str, Any], name: str) -> AnyResponse:
    """Add the workspace of a support session to this browser and open it. The own workspace
    stays."""
    act = {**granted["act"], "member_id": granted["member_id"]}
    key = sessions.save_workspace(page.visitor(), {**granted, "act": act}, member=name)
    return redirect(url_for("overview.show", workspace=key, org=granted["organization"]["id"]), 303)


def show_start(template: str, form: Form, **words: Any) -> Response:
    """The form that starts a session, with readable errors and a link to the session that is
    already active."""
    form.summary = fields.refusal_summary(form.refusal) or form.summary
    active = ""
    if form.refusal is not None and form.refusal.code == "already_acting":
        active = str(form.refusal.more.get("acting_session_id", ""))
    visitor = sessions.identify(page.visitor().secret, active) if active else None
    return page.show(
        template,
        form=form,
        active_session=active,
        active_workspace=visitor.workspace_or_none if visitor else None,
        **words,
    )


@blp.post("/acting/<session>/end")
@needs("session.end_others")
def end(session: str) -> ResponseReturnValue:
    """End a support session of one's own, started anywhere, and return to the page that the form
    names."""
    page.api().delete(f"/v1/sessions/{session}")
    sessions.delete_workspace(page.visitor(), session)
    return redirect(page.local_path(request.form.get("back")), 303)


@blp.get("/acting/pulse")
def pulse() -> ResponseReturnValue:
    """Whether this support session is still active; the script asks every second."""
    if page.visitor().workspace.act is None:
        abort(404)
    page.api().get("/v1/me")
    return "", 204


@blp.post("/acting/stop")
def stop() -> ResponseReturnValue:
    """End this support session and return to one's own workspace."""
    visitor = page.visitor()
    if visitor.workspace.act is None:
        abort(404)
    message = "You've left the session. Your actions are in the audit log."
    try:
        page.api().delete("/v1/sessions/current")
    except Refusal as refusal:
        if refusal.status != 401:
            raise
        message = "The support session had already ended."
    sessions.delete_workspace(visitor, visitor.workspace.key)
    endpoint, where = _origin(visitor.workspace)
    return page.done(message, endpoint, **where)


def return_url(visitor: Visitor | None, workspace: WorkspaceSession | None, org: str) -> str:
    """Where to go after a support session has ended; empty if unknown."""
    if workspace is not None and workspace.act is not None:
        endpoint, where = _origin(workspace)
        return url_for(endpoint, _external=False, **where)
    own = (
        [
            workspace
            for workspace in sessions.own_workspaces(visitor)
            if workspace.organization["kind"] == "provider"
        ]
        if visitor
        else []
    )
    return url_for("support.show", workspace=own[0].key, org=org) if own and org else ""


def _origin(workspace: WorkspaceSession) -> tuple[str, dict[str, str]]:
    act = workspace.act or {}
    where = {"workspace": str(act["org"]), "org": str(workspace.organization["id"])}
    if act.get("member_id"):
        return "members.detail", {**where, "member": str(act["member_id"])}
    return "support.show", where


def _obstacle(organization: dict[str, Any], member: dict[str, Any]) -> str:
    """Why nobody can log in as this member now; empty if they can."""
    if organization["kind"] != "customer":
        return "This member belongs to your own staff. You can only log in as a customer's member."
    if organization["status"] != "active":
        return "The organization is not active, so no one can log in as its members."
    if not member["portal_access"]:
        return "This member has no portal access. Give them portal access first."
    if member["status"] == "disabled":
        return "This member is disabled. Enable them first."
    if not member["verified"]:
        return "This member's email address is not verified yet. Resend the invitation."
    return ""
