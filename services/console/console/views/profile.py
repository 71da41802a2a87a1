"""Your own name and email address, which are the same in all organizations."""

from typing import Any

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from console.forms import me as fields
from console.guard import api_access, storage
from console.views import page
from console.views.page import needs

blp = Blueprint("profile", __name__, url_prefix="/me/profile")
_ME = "/v1/me"


@blp.route("", methods=["GET", "POST"])
@needs("me.update")
def edit() -> ResponseReturnValue:
    """Name and email address, and a new address that is not confirmed yet."""
    identity = _identity()
    form = page.form(fields.profile(identity), identity)
    saved = page.submit(form, lambda: _save(fields.profile_body(form, identity)))
    if saved is None:
        return page.show("me_profile.html", form=form, identity=identity)
    pending = saved["pending_email"]
    if not pending or pending == identity["pending_email"]:
        return page.done("Changes saved.", "profile.edit")
    return page.done(f"We sent an email to {pending}.", "profile.edit")


@blp.route("/email/resend", methods=["GET", "POST"])
@needs("me.update")
def resend() -> ResponseReturnValue:
    """Email the new address another link."""
    pending = _identity()["pending_email"]
    if not pending:
        return redirect(url_for("profile.edit"), 303)
    form = page.form(())
    if page.submit(form, lambda: _save({"email": pending})) is None:
        return page.show(
            "me_form.html",
            form=form,
            title="Send the email again?",
            verb="Send email",
            back=url_for("profile.edit"),
            lead=f"We send a new link to {pending}. The link in the previous email stops working.",
        )
    return page.done(f"We sent another email to {pending}.", "profile.edit")


@blp.route("/email/stop", methods=["GET", "POST"])
@needs("me.update")
def stop() -> ResponseReturnValue:
    """Keep the current address."""
    identity = _identity()
    email, pending = identity["email"], identity["pending_email"]
    if not pending:
        return redirect(url_for("profile.edit"), 303)
    form = page.form(())
    if page.submit(form, lambda: _save({"email": email})) is None:
        return page.show(
            "me_form.html",
            form=form,
            title="Stop the email change?",
            verb="Stop change",
            back=url_for("profile.edit"),
            lead=f"You keep {email}, and the link that we sent to {pending} stops working.",
        )
    return page.done(f"The change was stopped. You still sign in with {email}.", "profile.edit")


def _identity() -> Any:
    return _noted(page.api().get(_ME))


def _save(body: dict[str, Any]) -> Any:
    return _noted(page.api().patch(_ME, body))


def _noted(me: Any) -> Any:
    """The person; the header shows what it says of them."""
    api_access.note_identity(storage.database(), page.visitor(), me["identity"])
    return me["identity"]
