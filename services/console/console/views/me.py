"""Your own account: organizations, sessions, one-time codes, password, API keys."""

from typing import Any

from flask import Blueprint, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue

from console.forms import Form
from console.forms import me as fields
from console.values import browsers, enrollments
from console.values.scopes import SCOPES, SUSPENSION_REASONS
from console.views import page
from console.views.page import needs

blp = Blueprint("me", __name__, url_prefix="/me")
_KEYS = "/v1/api-keys"


@blp.get("/organizations")
@needs("session.exchange")
def organizations() -> ResponseReturnValue:
    """The organizations one may enter."""
    organizations = page.api().get("/v1/me/organizations")
    wanted = request.args.get("q", "").strip().casefold()

    def matching(kind: str) -> list[Any]:
        return [
            organization
            for organization in organizations[kind]
            if wanted in organization["name"].casefold() or wanted == organization["id"]
        ]

    own, serviced = matching("own"), matching("serviced")
    return page.show("me_organizations.html", own=own, serviced=serviced, wanted=wanted)


@blp.route("/organizations/<organization>/leave", methods=["GET", "POST"])
@needs("me.leave")
def leave(organization: str) -> ResponseReturnValue:
    """Leave an organization."""
    own = page.api().get("/v1/me/organizations")["own"]
    name = next((one["name"] for one in own if one["id"] == organization), None)
    if name is None:
        abort(404)
    form = page.form(())
    path = f"/v1/me/memberships/{organization}"
    if page.submit(form, lambda: page.api().delete(path)) is None:
        is_last = len(own) == 1
        return page.show(
            "me_form.html",
            form=form,
            title=f"Leave {name}?",
            verb="Leave organization",
            danger=True,
            back=url_for("me.organizations"),
            lead="You lose access to this organization, and your API keys there stop working. To "
            "come back, you need a new invitation."
            + " You belong to no other organization, so your login and your name are deleted."
            * is_last,
        )
    if page.visitor().workspace.organization["id"] == organization:
        return redirect("/", 303)
    return page.done(f"You have left {name}.", "me.organizations")


@blp.get("/sessions")
@needs("session.list")
def sessions() -> ResponseReturnValue:
    """Where one is signed in, including support sessions as oneself."""
    sessions = page.api().get("/v1/sessions", limit=50, cursor=request.args.get("cursor"))
    return page.show("me_sessions.html", sessions=sessions, browser=browsers.name)


@blp.post("/sessions/<session>/end")
@needs("session.end_others")
def end_session(session: str) -> ResponseReturnValue:
    """End one session."""
    page.api().delete(f"/v1/sessions/{session}")
    return page.done("The session will end within seconds.", "me.sessions")


@blp.post("/sessions/end-others")
@needs("session.end_others")
def end_others() -> ResponseReturnValue:
    """End all sessions except this one."""
    page.api().delete("/v1/sessions")
    return page.done("All your other sessions have ended.", "me.sessions")


@blp.get("/security")
@needs("me.secure")
def security() -> ResponseReturnValue:
    """One-time codes and password."""
    return page.show(
        "me_security.html",
        authenticators=_authenticators(),
        wanted=bool(request.args.get("wanted")),
    )


@blp.route("/security/codes", methods=["GET", "POST"])
@needs("me.secure")
def enroll() -> ResponseReturnValue:
    """Set up an authenticator; the key is shown until the first right code."""
    form = page.form((fields.AUTHENTICATOR_NAME,))
    created = page.submit(form, lambda: page.api().post("/v1/me/totp", form.body()))
    if created is None:
        return page.show("me_enroll.html", form=form, is_first=not _authenticators())
    return _show_key(Form((fields.OTP,)), created["uri"])


@blp.route("/security/codes/confirm", methods=["GET", "POST"])
@needs("me.secure")
def confirm() -> ResponseReturnValue:
    """Add the authenticator. The first one turns on one-time codes; the recovery codes are shown
    only in this response."""
    form = page.form((fields.OTP,))
    created = page.submit(form, lambda: page.api().post("/v1/me/totp/confirm", form.body()))
    if created is None:
        return _show_key(form, request.form.get("uri", ""))
    if not created["recovery_codes"]:
        return page.done("The authenticator was added.", "me.security")
    if renew := page.api().renew:
        renew()  # the next token no longer states that codes are missing
    return page.show("me_recovery.html", codes=created["recovery_codes"])


def _show_key(form: Form, uri: str) -> ResponseReturnValue:
    """The key and the field for the first code. The page keeps the key: only it has it."""
    return page.show(
        "me_codes.html",
        form=form,
        enrollment=enrollments.enrollment(uri),
        is_first=not _authenticators(),
    )


def _authenticators() -> list[dict[str, Any]]:
    authenticators: list[dict[str, Any]] = page.api().get("/v1/me/authenticators")["data"]
    return authenticators


@blp.route("/security/authenticators/<authenticator>/remove", methods=["GET", "POST"])
@needs("me.secure")
def remove_authenticator(authenticator: str) -> ResponseReturnValue:
    """Remove an authenticator. The last one is removed by turning off one-time codes."""
    known = {one["id"]: one["name"] for one in _authenticators()}
    if authenticator not in known:
        abort(404)
    if len(known) == 1:
        return redirect(url_for("me.switch_off"), 303)
    form, name = page.form(()), known[authenticator]
    if page.submit(form, lambda: page.api().delete(f"/v1/me/totp/{authenticator}")) is None:
        return page.show(
            "me_form.html",
            form=form,
            title=f"Remove {name}?",
            verb="Remove authenticator",
            danger=True,
            back=url_for("me.security"),
            lead="Its codes stop working, and all your other sessions end. Your recovery codes "
            "stay valid. We ask for your password and a code first.",
        )
    return page.done(f"{name} was removed.", "me.security")


@blp.route("/security/recovery-codes", methods=["GET", "POST"])
@needs("me.secure")
def renew_recovery_codes() -> ResponseReturnValue:
    """Create new recovery codes, shown only in this response."""
    form = page.form(())
    created = page.submit(form, lambda: page.api().post("/v1/me/recovery-codes", key=form.key))
    if created is None:
        return page.show(
            "me_form.html",
            form=form,
            title="Create new recovery codes?",
            verb="Create recovery codes",
            back=url_for("me.security"),
            lead="Your current recovery codes stop working. We ask for your password and a code "
            "first.",
        )
    return page.show("me_recovery.html", codes=created["recovery_codes"])


@blp.route("/security/codes/off", methods=["GET", "POST"])
@needs("me.secure")
def switch_off() -> ResponseReturnValue:
    """Turn off one-time codes."""
    form = page.form(())
    if page.submit(form, lambda: page.api().delete("/v1/me/totp")) is None:
        return page.show(
            "me_form.html",
            form=form,
            title="Turn off one-time codes?",
            verb="Turn off one-time codes",
            danger=True,
            back=url_for("me.security"),
            lead="You will sign in with your password only. All your authenticators are removed, "
            "and your recovery codes stop working. "
            "We ask for your password and a code first.",
        )
    return page.done("One-time codes are off.", "me.security")


@blp.route("/security/password", methods=["GET", "POST"])
@needs("me.secure")
def password() -> ResponseReturnValue:
    """Change the password."""
    form = page.form(fields.PASSWORD)
    if page.submit(form, lambda: page.api().post("/v1/me/password", form.body())) is not None:
        return page.done(
            "Your password was changed. All your other sessions have ended.", "me.security"
        )
    if form.refusal is not None and form.refusal.status == 401:
        form.summary.clear()
        if form.refusal.code == "invalid_credentials":
            form.add_error("password", "Enter your current password.")
        else:
            form.add_error("otp", "Enter an unused one-time code or a recovery code.")
    return page.show(
        "me_form.html",
        status=422 if form.summary else 200,
        failed=bool(form.summary),
        form=form,
        title="Change your password",
        verb="Change password",
        back=url_for("me.security"),
        lead="Changing your password ends all your other sessions.",
    )


@blp.get("/keys")
@needs("key.list")
def keys() -> ResponseReturnValue:
    """The API keys of the organization."""
    keys = page.api().get(_KEYS, limit=50, cursor=request.args.get("cursor"))
    return page.show("me_keys.html", keys=keys, labels=SCOPES, reasons=SUSPENSION_REASONS)


@blp.route("/keys/new", methods=["GET", "POST"])
@needs("key.manage")
def make_key() -> ResponseReturnValue:
    """Create a key; it is shown only in this response."""
    held = page.api().get("/v1/me")["scopes"]
    scopes = [scope for scope in SCOPES if scope in held]
    form = page.form(fields.key(scopes))
    created = page.submit(
        form, lambda: page.api().post(_KEYS, fields.key_body(form, scopes), key=form.key)
    )
    if created is None:
        return page.show(
            "me_form.html",
            form=form,
            title="Create API key",
            verb="Create key",
            back=url_for("me.keys"),
            lead="A program with this key can do only what you select here. We notify the owner by "
            "email.",
        )
    return page.show("me_key.html", created=created)


@blp.route("/keys/<key>/rotate", methods=["GET", "POST"])
@needs("key.manage")
def rotate_key(key: str) -> ResponseReturnValue:
    """Rotate a key; the new one is shown only in this response."""
    form = page.form(fields.ROTATION)
    created = page.submit(
        form,
        lambda: page.api().post(
            f"{_KEYS}/{key}/rotate",
            fields.rotation_body(form),
            key=form.key,
        ),
    )
    if created is None:
        return page.show(
            "me_form.html",
            form=form,
            title="Rotate API key?",
            verb="Rotate key",
            danger=True,
            back=url_for("me.keys"),
            lead="You get a new key with the same permissions. It is shown only once.",
        )
    return page.show("me_key.html", created=created)


@blp.route("/keys/<key>/adopt", methods=["GET", "POST"])
@needs("key.adopt")
def adopt_key(key: str) -> ResponseReturnValue:
    """Adopt a key and rotate it; the new one is shown only in this response."""
    form = page.form(fields.ROTATION)

    def adopt_and_rotate() -> Any:
        api = page.api()
        # In this order, a failure in between leaves the key suspended.
        rotated = api.post(f"{_KEYS}/{key}/rotate", fields.rotation_body(form), key=form.key)
        api.post(f"{_KEYS}/{key}/adopt", key=f"adopt-{form.key}")
        return rotated

    created = page.submit(form, adopt_and_rotate)
    if created is None:
        return page.show(
            "me_form.html",
            form=form,
            title="Adopt API key?",
            verb="Adopt and rotate key",
            back=url_for("me.keys"),
            lead="You become responsible for this key, and it works again. Its former owner may "
            "know its secret, so you get a new one. It is shown only once.",
        )
    return page.show("me_key.html", created=created)


@blp.route("/keys/<key>/delete", methods=["GET", "POST"])
@needs("key.manage")
def delete_key(key: str) -> ResponseReturnValue:
    """Delete a key."""
    form = page.form(())
    if page.submit(form, lambda: page.api().delete(f"{_KEYS}/{key}")) is None:
        return page.show(
            "me_form.html",
            form=form,
            title="Delete API key?",
            verb="Delete key",
            danger=True,
            back=url_for("me.keys"),
            lead="The key stops working immediately. You can't undo this.",
        )
    return page.done("The key was deleted.", "me.keys")
