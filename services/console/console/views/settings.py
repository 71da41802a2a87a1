"""The settings of an organization, and its sensitive actions."""

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from console.forms import Field, settings
from console.values import locale
from console.views import page
from console.views.page import needs

blp = Blueprint("settings", __name__, url_prefix="/c/<org>")
EDITABLE = ("active", "suspended")


@blp.route("/settings", methods=["GET", "POST"])
@needs("organization.read")
def show(org: str) -> ResponseReturnValue:
    """Editable settings, permanent settings and sensitive actions."""
    base = f"/v1/organizations/{org}"
    response = page.api().ask("GET", base)
    organization, match = response.json(), response.headers.get("ETag", "")
    blocks = settings.blocks(
        billing_email=page.visitor().may("organization.billing_email"),
        tags=page.visitor().may("organization.change_tags"),
    )
    fields = [field for block in blocks.values() for field in block]
    form = page.form(fields, settings.values(organization), match=match)
    may = page.visitor().may("organization.change")
    if request.method == "POST":
        page.require("organization.change")
    saved = page.submit(form, lambda: page.api().patch(base, settings.body(form), match=form.match))
    if saved is not None:
        return page.done("Settings saved.", "settings.show")
    page.show_conflict(form, settings.values(organization), match=match)
    return page.show(
        "settings.html",
        organization=organization,
        form=form,
        blocks=blocks,
        editable=may and organization["status"] in EDITABLE,
        values=settings.values(organization),
        country=locale.name(organization["country"]),
    )


@blp.route("/settings/suspend", methods=["GET", "POST"])
@needs("organization.suspend")
def suspend(org: str) -> ResponseReturnValue:
    """Suspend an organization."""
    return _sure(
        org,
        "suspend",
        fields=settings.REASON,
        title="Suspend this organization?",
        danger=True,
        lead="No one in this organization can sign in, and nothing can be charged or reserved. Its "
        "credits and debts don't change. You can activate it at any time.",
        button="Suspend organization",
        words="was suspended.",
    )


@blp.route("/settings/activate", methods=["GET", "POST"])
@needs("organization.activate")
def activate(org: str) -> ResponseReturnValue:
    """Undo a suspension or a scheduled deletion."""
    return _sure(
        org,
        "activate",
        title="Activate this organization?",
        button="Activate organization",
        words="is active again.",
        lead="Its members can sign in and it can be charged again. A scheduled deletion is "
        "canceled, and the organization returns to its previous status.",
    )


@blp.route("/settings/hand-over", methods=["GET", "POST"])
@needs("organization.hand_over")
def hand_over(org: str) -> ResponseReturnValue:
    """Let the customer manage the organization."""
    return _change(
        org,
        {"managed_by": "customer"},
        title="Let the customer manage this organization?",
        button="Let the customer manage",
        words="is now managed by the customer.",
        lead="Remote Support will need approval by its owner or an admin, and only its owner can "
        "hand management back.",
    )


@blp.route("/settings/hand-back", methods=["GET", "POST"])
@needs("organization.hand_back")
def hand_back(org: str) -> ResponseReturnValue:
    """Let the provider manage the organization."""
    return _change(
        org,
        {"managed_by": "provider"},
        title="Let your provider manage this organization?",
        button="Let the provider manage",
        words="is now managed by the provider.",
        lead="Your provider can then use Remote Support without your approval.",
    )


@blp.route("/settings/require-codes", methods=["GET", "POST"])
@needs("organization.require_codes")
def require_codes(org: str) -> ResponseReturnValue:
    """Require one-time codes of everybody in the organization."""
    return _change(
        org,
        {"mfa_required": True},
        title="Require one-time codes?",
        button="Require one-time codes",
        words="now requires one-time codes.",
        lead="Everyone in this organization, including you, needs a code from an authenticator "
        "app to sign in. Anyone who doesn't use codes yet is asked to set them up at the next "
        "sign-in, or now if they are signed in. API keys keep working.",
    )


@blp.route("/settings/no-codes", methods=["GET", "POST"])
@needs("organization.require_codes")
def no_codes(org: str) -> ResponseReturnValue:
    """Require one-time codes no longer."""
    return _change(
        org,
        {"mfa_required": False},
        title="Stop requiring one-time codes?",
        button="Stop requiring codes",
        words="no longer requires one-time codes.",
        lead="Everyone can then choose whether to use one-time codes. Codes that are on stay on.",
    )


@blp.get("/standing")
@needs("organization.read")
def status_banner(org: str) -> ResponseReturnValue:
    """The status banner, polled while the status is about to change; then the page is reloaded."""
    organization = page.api().get(f"/v1/organizations/{org}")
    if organization["status"] in ("provisioning", "closing"):
        return render_template("status_banner.html", organization=organization)
    shown = page.path_of(request.headers.get("HX-Current-URL")).partition("?")[0]
    return Response(headers={"HX-Redirect": url_for("overview.show") if shown == "/" else shown})


def _sure(
    org: str,
    verb: str,
    *,
    title: str,
    button: str,
    lead: str,
    words: str,
    fields: Sequence[Field] = (),
    danger: bool = False,
) -> Response:
    base = f"/v1/organizations/{org}"
    organization, form = page.api().get(base), page.form(fields)
    done = page.submit(
        form, lambda: page.api().post(f"{base}/{verb}", form.body(), key=form.key, wait=10)
    )
    if done is None:
        return page.show(
            "form.html",
            organization=organization,
            form=form,
            title=title,
            lead=lead,
            danger=danger,
            verb=button,
            back=url_for("settings.show"),
        )
    if verb == "activate" and done["status"] == organization["status"]:
        words = "is being activated. Refresh this page in a moment."
    elif verb == "activate" and done["status"] == "suspended":
        words = "is no longer scheduled for deletion. It is suspended, as it was before."
    return page.done(f"{organization['name']} {words}", "settings.show")


def _change(
    org: str, changes: dict[str, Any], *, title: str, button: str, lead: str, words: str
) -> Response:
    base = f"/v1/organizations/{org}"
    organization, form = page.api().get(base), page.form(())
    done = page.submit(form, lambda: page.api().patch(base, changes))
    if done is None:
        return page.show(
            "form.html",
            organization=organization,
            form=form,
            title=title,
            lead=lead,
            verb=button,
            back=url_for("settings.show"),
        )
    return page.done(f"{organization['name']} {words}", "settings.show")
