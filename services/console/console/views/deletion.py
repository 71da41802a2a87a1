"""Delete a customer: the check, the request, its state."""

from datetime import timedelta
from typing import Any

from chassis.runtime import clock
from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from console.clients import fetch_all
from console.forms import Form, deletion
from console.values import days
from console.views import page
from console.views.page import needs

blp = Blueprint("deletion", __name__, url_prefix="/c/<org>")


@blp.route("/delete", methods=["GET", "POST"])
@needs("organization.deletion_check")
def start(org: str) -> ResponseReturnValue:
    """The check, and the form if nothing blocks the deletion."""
    base = f"/v1/organizations/{org}"
    organization = page.api().get(base)
    if organization["status"] in ("closing", "suspended_for_deletion", "deleted"):
        return redirect(url_for("deletion.show"), 303)
    form = page.form(deletion.FIELDS)
    if request.method == "POST":
        page.require("organization.delete")
        if deletion.check(form, organization):
            result = page.submit(
                form, lambda: page.api().delete(base, {"reason": form.value("reason")}, wait=10)
            )
            if result is not None:
                words = (
                    "is scheduled for deletion."
                    if result["status"] == "scheduled"
                    else "is being closed."
                )
                return page.done(f"{organization['name']} {words}", "deletion.show")
    return _show_check(org, organization, form)


@blp.get("/deletion")
@needs("organization.deletion_read")
def show(org: str) -> ResponseReturnValue:
    """The last deletion request: who, when, and how long it can be undone."""
    base = f"/v1/organizations/{org}"
    organization, deletion_request = page.api().get(base), page.api().get(f"{base}/deletion")
    return page.show(
        "deletion.html",
        organization=organization,
        deletion=deletion_request,
        left=_left(deletion_request["purge_at"]),
        blockers=_with_fixes(deletion_request["blockers"], organization),
    )


def _show_check(org: str, organization: dict[str, Any], form: Form) -> Response:
    """The check page. The blockers of a refused deletion are newer than the check's."""
    api, base = page.api(), f"/v1/organizations/{org}"
    responses = fetch_all(
        check=lambda: api.get(f"{base}/deletion-check"),
        account=lambda: api.get(f"{base}/account"),
        listed=lambda: api.get("/v1/organizations", q=org, limit=1),
        settings=lambda: api.get("/v1/settings"),
    )
    check = responses["check"]
    if form.refusal and form.refusal.code == "deletion_refused":
        check = {"deletable": False, "blockers": form.refusal.more["blockers"], "warnings": []}
    summary = (
        responses["listed"]["data"][0]["summary"]
        if responses["listed"] and responses["listed"]["data"]
        else None
    )
    purge_at = ""
    if responses["settings"]:
        purge_at = (
            clock.now() + timedelta(days=responses["settings"]["deletion_grace_days"])
        ).isoformat()
    return page.show(
        "delete.html",
        organization=organization,
        form=form,
        check=check,
        account=responses["account"],
        summary=summary,
        grace=responses["settings"] and responses["settings"]["deletion_grace_days"],
        purge_at=purge_at,
        blockers=_with_fixes(check["blockers"], organization) if check else [],
    )


def _with_fixes(
    blockers: list[dict[str, Any]], organization: dict[str, Any]
) -> list[dict[str, Any]]:
    """Each blocker with the page that resolves it, if the user may open that."""
    shown = []
    for blocker in blockers:
        known = deletion.fix(blocker["code"], organization["payment_mode"])
        link = None
        if known and page.visitor().may(known[2]):
            link = {"href": url_for(known[0], _anchor=known[1] or None), "words": known[3]}
        shown.append({**blocker, "link": link})
    return shown


def _left(purge_at: str | None) -> str:
    """How long the deletion can be undone."""
    if not purge_at:
        return ""
    return days.left(purge_at, clock.now())
