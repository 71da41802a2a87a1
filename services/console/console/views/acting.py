"""Login As, and every way out of a customer's place."""

from typing import Any

from flask import Blueprint, Response, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response as AnyResponse

from console import guard
from console.clients import Refusal, together
from console.forms import Form
from console.forms import support as fields
from console.guard import Seat, Visitor
from console.views import page
from console.views.page import needs

blp = Blueprint("acting", __name__)


@blp.route("/c/<org>/members/<member>/login-as", methods=["GET", "POST"])
@needs("member.login_as")
def start(org: str, member: str) -> ResponseReturnValue:
    """Step in as a member, with a reason. ``?reason=``: what to put there first."""
    api, at = page.api(), f"/v1/organizations/{org}"
    made = page.form(fields.LOGIN_AS, {"reason": request.args.get("reason", "")})
    found = together(
        organization=lambda: api.get(at), member=lambda: api.get(f"{at}/members/{member}")
    )
    for answer in found.values():
        if not answer:
            raise answer.refusal
    told = page.sent(
        made, lambda: page.api().post(f"{at}/members/{member}/login-as", made.body(), key=made.key)
    )
    if told is not None:
        return go_in(told, found["member"]["name"])
    return show_start(
        "acting_start.html", made, hurdle=_hurdle(found["organization"], found["member"]), **found
    )


def go_in(told: dict[str, Any], name: str) -> AnyResponse:
    """Take the seat of a session in a customer's place and go there; one's own seat stays."""
    act = {**told["act"], "member_id": told["member_id"]}
    key = guard.take_seat(page.optional_caller(), {**told, "act": act}, member=name)
    return redirect(url_for("overview.show", seat=key, org=told["organization"]["id"]), 303)


def show_start(template: str, made: Form, **words: Any) -> Response:
    """The form of stepping in, with what stands in the way said to people, and the way to where one
    is already."""
    made.summary = fields.plain(made.refusal) or made.summary
    inside = ""
    if made.refusal is not None and made.refusal.code == "already_acting":
        inside = str(made.refusal.more.get("acting_session_id", ""))
    here = inside and guard.identify(page.optional_caller().secret, inside)
    return page.show(
        template, form=made, inside=inside, seat_inside=here.seat if here else None, **words
    )


@blp.post("/acting/<session>/end")
@needs("session.end_others")
def end(session: str) -> ResponseReturnValue:
    """End a session of one's own in a customer's place, wherever it was begun; back to where one
    wanted to go."""
    page.api().delete(f"/v1/sessions/{session}")
    guard.leave_seat(page.optional_caller(), session)
    return redirect(page.safe(request.form.get("back")), 303)


@blp.get("/acting/pulse")
def pulse() -> ResponseReturnValue:
    """Whether this session in a customer's place still lives; asked every second by the pages of
    it."""
    if page.optional_caller().here.act is None:
        abort(404)
    page.api().get("/v1/me")
    return "", 204


@blp.post("/acting/stop")
def stop() -> ResponseReturnValue:
    """Step out, for good, and go back to one's own seat."""
    visitor = page.optional_caller()
    if visitor.here.act is None:
        abort(404)
    said = "You've left the session. Your actions are in the audit log."
    try:
        page.api().delete("/v1/sessions/current")
    except Refusal as refusal:
        if refusal.status != 401:
            raise
        said = "The support session had already ended."
    guard.leave_seat(visitor, visitor.here.key)
    endpoint, where = _own_place(visitor.here)
    return page.done(said, endpoint, **where)


def way_back(visitor: Visitor | None, seat: Seat | None, org: str) -> str:
    """Where to go from a session in a customer's place that is over; empty where there is no such
    place."""
    if seat is not None and seat.act is not None:
        endpoint, where = _own_place(seat)
        return url_for(endpoint, _external=False, **where)
    own = (
        [one for one in guard.own_seats(visitor) if one.organization["kind"] == "provider"]
        if visitor
        else []
    )
    return url_for("support.show", seat=own[0].key, org=org) if own and org else ""


def _own_place(seat: Seat) -> tuple[str, dict[str, str]]:
    act = seat.act or {}
    where = {"seat": str(act["org"]), "org": str(seat.organization["id"])}
    if act.get("member_id"):
        return "members.one", {**where, "member": str(act["member_id"])}
    return "support.show", where


def _hurdle(organization: dict[str, Any], member: dict[str, Any]) -> str:
    """Why nobody can act as this member now; empty where they can."""
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
