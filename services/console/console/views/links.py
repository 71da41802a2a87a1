"""Links from emails. Opening one changes nothing; its button does. Nobody has to be signed in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from console.clients import Refusal
from console.forms import Field
from console.forms import links as fields
from console.guard import api_access, sessions
from console.views import page
from console.views.page import open_to_all

blp = Blueprint("links", __name__)


@dataclass(frozen=True)
class Use:
    """The texts of a purpose. ``done`` and ``after``: shown after the link was used."""

    title: str
    lead: str
    verb: str
    done: str
    after: str


USES = {
    "invitation": Use(
        "Join {organization}",
        "{organization} invited you to join.",
        "Join",
        "You have joined {organization}",
        "Your email address is verified. Sign in with it and your password.",
    ),
    "verification": Use(
        "Confirm your email address",
        "{organization} wants you to sign in there with this address. Until you confirm it, "
        "nothing changes.",
        "Confirm email address",
        "Email address confirmed",
        "From now on, sign in with this address.",
    ),
    "own_verification": Use(
        "Confirm your email address",
        "From now on, sign in with this address in all your organizations. Until you confirm it, "
        "nothing changes.",
        "Confirm email address",
        "Email address confirmed",
        "From now on, sign in with this address.",
    ),
    "undo": Use(
        "Undo the email change",
        "The email address of your account is being changed from this one to another. If you did "
        "not expect this, undo the change. If it has already taken effect, everyone signed in to "
        "your account is signed out.",
        "Undo change",
        "Email change undone",
        "Your account has its previous email address. Choose a new password now, because someone "
        "else may know yours.",
    ),
    "stop_transfer": Use(
        "Stop the new owner",
        "The provider says that {organization} has lost its owner, and is about to make someone "
        "else the owner. If that is wrong, stop it.",
        "Stop transfer",
        "The transfer was stopped",
        "The owner of {organization} stays the same.",
    ),
    "reset_mfa": Use(
        "Turn off one-time codes",
        "Someone told {organization} that you have lost your authenticator. If it was you, enter "
        "your password to sign in without one-time codes from now on. All your sessions end, on "
        "every device. If it was not you, close this page and tell its owner.",
        "Turn off",
        "One-time codes are off",
        "All your sessions have ended. Sign in with your password, and turn one-time codes on "
        "again under Security. If your password is not accepted because it is too short without "
        "codes, reset it.",
    ),
    "reset": Use(
        "Choose a new password",
        "After you save it, all your sessions end, on every device.",
        "Save password",
        "Password changed",
        "All your sessions have ended. Sign in with the new password.",
    ),
}


@blp.route("/verify/<token>", methods=["GET", "POST"])
@open_to_all
def verify(token: str) -> ResponseReturnValue:
    """Verify an address and join, or confirm a new address."""
    return _page(token, "verifications")


@blp.route("/undo/<token>", methods=["GET", "POST"])
@open_to_all
def undo(token: str) -> ResponseReturnValue:
    """Undo a change of the email address, or stop a transfer of ownership."""
    return _page(token, "verifications")


@blp.route("/reset/<token>", methods=["GET", "POST"])
@open_to_all
def choose(token: str) -> ResponseReturnValue:
    """Choose a new password."""
    return _page(token, "password-resets")


@blp.route("/reset-codes/<token>", methods=["GET", "POST"])
@open_to_all
def reset_codes(token: str) -> ResponseReturnValue:
    """Turn off one's one-time codes with the password."""
    return _page(token, "mfa-resets")


@blp.route("/reset", methods=["GET", "POST"])
@open_to_all
def reset() -> ResponseReturnValue:
    """Request a link to choose a new password; the response is the same for every address."""
    form = page.form((fields.EMAIL,))
    response = page.submit(form, lambda: api_access.api().post("/v1/password-resets", form.body()))
    if response is not None:
        return redirect(url_for("links.reset", sent=1), 303)
    return page.show("reset.html", form=form, sent=bool(request.args.get("sent")))


@blp.post("/verify/<token>/renewal")
@open_to_all
def renew(token: str) -> ResponseReturnValue:
    """Ask the person who sent an expired invitation for a new one; the response is the same for any
    link."""
    try:
        api_access.api().post(f"/v1/verifications/{quote(token, safe='')}/renewal")
    except Refusal as refusal:
        return _expired(refusal, "verify", token)
    return page.show(
        "link_result.html",
        title="Request sent",
        token="",
        way="sign_in",
        words="If you still have an open invitation, we emailed the person who invited you and "
        "asked for a new one. You can ask once a day.",
    )


@blp.after_request
def hide_referrer(response: Response) -> Response:
    """Keep the address of these pages from other sites."""
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _page(token: str, resource: str) -> ResponseReturnValue:
    at, kind = f"/v1/{resource}/{quote(token, safe='')}", (request.endpoint or "").partition(".")[2]
    try:
        link = api_access.api().get(at)
    except Refusal as refusal:
        return _expired(refusal, kind, token)
    is_own = link["purpose"] == "verification" and not link["organization"]
    use = USES["own_verification" if is_own else link["purpose"]]
    organization = (link["organization"] or {}).get("name", "Your organization")
    title, lead, done, after = (
        words.format(organization=organization)
        for words in (use.title, use.lead, use.done, use.after)
    )
    other = _other_person(link)
    form = page.form(_fields(link, kind))
    # The person chose a password by another link while this page was open: show it again.
    has_one_meanwhile = not form.fields and "password" in request.form
    response = None
    if not other and not has_one_meanwhile:
        response = page.submit(form, lambda: api_access.api().post(at, form.body()))
    if response is None and form.refusal is not None and form.refusal.status in (404, 410):
        return _expired(form.refusal, kind, token)
    if response is None:
        return page.show(
            "link.html", form=form, link=link, other=other, verb=use.verb, title=title, lead=lead
        )
    if g.visitor:
        sessions.refresh_identity(g.visitor)
    return _done(link, done, after, kind)


def _other_person(link: Any) -> str:
    """The address of the signed-in person, if the link is for somebody else who has to sign in. A
    link about an address works for everybody who has received it."""
    visitor = g.visitor
    if not visitor or link["purpose"] not in ("invitation", "stop_transfer"):
        return ""
    if visitor.browser.email != link["email"]:
        sessions.refresh_identity(visitor)
    return "" if visitor.browser.email == link["email"] else str(visitor.browser.email)


def _fields(link: Any, kind: str) -> Sequence[Field]:
    if kind == "reset_codes":
        return (fields.PASSWORD,)
    return fields.choosing() if link["password_required"] else ()


def _done(link: Any, title: str, words: str, kind: str) -> ResponseReturnValue:
    """A link signs nobody in."""
    onward = (
        url_for("home.show", workspace=link["organization"]["id"]) if link["organization"] else "/"
    )
    return page.show(
        "link_result.html", title=title, words=words, token="", way=_way(link, kind), onward=onward
    )


def _way(link: Any, kind: str) -> str:
    """What is offered after a link."""
    if link["purpose"] == "undo":
        return "reset"
    if kind == "verify" and g.visitor:
        return "open"
    return "sign_in"


def _expired(refusal: Refusal, kind: str, token: str) -> ResponseReturnValue:
    """A link that no longer works, and what to do instead."""
    if refusal.status not in (404, 410):
        raise refusal
    if refusal.status == 404:
        title = "This link is not valid"
        words = "Make sure you opened the complete link from the email."
    else:
        title = "This link no longer works"
        words = "It was already used, replaced by a newer one, or has expired."
    ways = {
        "verify": (
            "If you have already joined, sign in. Otherwise look for a newer email or request a "
            "new invitation.",
            "sign_in",
        ),
        "choose": ("Request a new link. Links expire after 30 minutes.", "reset"),
        "reset_codes": (
            "Ask the owner or an admin of your organization for a new one. If you still have a "
            "recovery code, sign in with it.",
            "sign_in",
        ),
        "undo": (
            "Ask the owner of your organization, or your provider, to change it back.",
            "sign_in",
        ),
    }
    advice, way = ways[kind]
    again = token if kind == "verify" and refusal.status == 410 else ""
    return page.show(
        "link_result.html",
        status=refusal.status,
        title=title,
        words=f"{words} {advice}",
        token=again,
        way=way,
    )
