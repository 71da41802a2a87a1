"""Mailed links: looking at one uses nothing up, the button does. Nobody has to be signed in."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from console import guard
from console.clients import Refusal
from console.forms import links as fields
from console.views import page
from console.views.page import open_to_all

blp = Blueprint("links", __name__)


@dataclass(frozen=True)
class Use:
    """What a link is for. ``done`` and ``after``: what is said once it was used."""

    title: str
    lead: str
    verb: str
    done: str
    after: str


USES = {
    "invitation": Use(
        "Join {organization}",
        "{organization} has invited you.",
        "Join",
        "You have joined {organization}",
        "Your e-mail address is verified. Sign in with it and your password.",
    ),
    "verification": Use(
        "Confirm your e-mail address",
        "{organization} has noted this as your new address.",
        "Confirm",
        "Your e-mail address is confirmed",
        "From now on you sign in with it.",
    ),
    "undo": Use(
        "Take your login back",
        "The e-mail address of your login at {organization} was changed from this one "
        "to another. If you did not expect that, take it back: whoever is signed in with it is out at once.",
        "Take it back",
        "Your login is yours again",
        "It has the address it had. Choose a new password now: somebody may know yours.",
    ),
    "reset": Use(
        "Choose a new password",
        "Afterwards everybody who is signed in with your login is out, you too.",
        "Save the password",
        "Your password is changed",
        "Everybody who was signed in with your login is out. Sign in with the new password.",
    ),
}


@blp.route("/verify/<token>", methods=["GET", "POST"])
@open_to_all
def verify(token: str) -> ResponseReturnValue:
    """Prove an address and join, or confirm a new one."""
    return _page(token, "verifications")


@blp.route("/undo/<token>", methods=["GET", "POST"])
@open_to_all
def undo(token: str) -> ResponseReturnValue:
    """Take a login back whose address was changed."""
    return _page(token, "verifications")


@blp.route("/reset/<token>", methods=["GET", "POST"])
@open_to_all
def choose(token: str) -> ResponseReturnValue:
    """Choose a new password."""
    return _page(token, "password-resets")


@blp.route("/reset", methods=["GET", "POST"])
@open_to_all
def reset() -> ResponseReturnValue:
    """Ask for a link to a new password; the answer is the same for every address."""
    form = page.form((fields.EMAIL,))
    answer = page.sent(form, lambda: guard.api().post("/v1/password-resets", form.body()))
    if answer is not None:
        return redirect(url_for("links.reset", asked=1), 303)
    return page.show("reset.html", form=form, asked=bool(request.args.get("asked")))


@blp.post("/verify/<token>/renewal")
@open_to_all
def renew(token: str) -> ResponseReturnValue:
    """Have whoever invited the holder of a dead link asked for a new one; the answer is the same
    for any link."""
    try:
        guard.api().post(f"/v1/verifications/{quote(token, safe='')}/renewal")
    except Refusal as refusal:
        return _over(refusal, "verify", token)
    return page.show(
        "link_end.html",
        title="Asked",
        token="",
        way="sign_in",
        words="If you are still waiting for an "
        "invitation, whoever invited you is asked by mail to send a new one. This is done once a day.",
    )


@blp.after_request
def say_nothing_of_it(answer: Response) -> Response:
    """Nobody we link to learns the address of these pages."""
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


def _page(token: str, resource: str) -> ResponseReturnValue:
    at, kind = f"/v1/{resource}/{quote(token, safe='')}", (request.endpoint or "").partition(".")[2]
    try:
        link = guard.api().get(at)
    except Refusal as refusal:
        return _over(refusal, kind, token)
    use, organization = (
        USES[link["purpose"]],
        (link["organization"] or {}).get("name", "Your organization"),
    )
    title, lead, done, after = (
        words.format(organization=organization)
        for words in (use.title, use.lead, use.done, use.after)
    )
    visitor = g.visitor
    other = (
        visitor.browser.email
        if visitor and kind != "choose" and visitor.browser.email != link["email"]
        else ""
    )
    form = page.form(fields.choosing() if link["password_required"] else ())
    answer = None if other else page.sent(form, lambda: guard.api().post(at, form.body()))
    if answer is None and form.refusal is not None and form.refusal.status in (404, 410):
        return _over(form.refusal, kind, token)
    if answer is None:
        return page.show(
            "link.html", form=form, link=link, other=other, verb=use.verb, title=title, lead=lead
        )
    return _done(link, done, after, kind)


def _done(link: Any, title: str, words: str, kind: str) -> ResponseReturnValue:
    """Afterwards nobody is signed in by the link alone."""
    onward = url_for("home.show", seat=link["organization"]["id"]) if link["organization"] else "/"
    way = "reset" if kind == "undo" else "open" if g.visitor and kind == "verify" else "sign_in"
    return page.show("link_end.html", title=title, words=words, token="", way=way, onward=onward)


def _over(refusal: Refusal, kind: str, token: str) -> ResponseReturnValue:
    """A link that can't be used, and what to do instead."""
    if refusal.status not in (404, 410):
        raise refusal
    if refusal.status == 404:
        title, words = (
            "This link leads nowhere",
            "Open the link in the mail again, the whole of it.",
        )
    else:
        title, words = (
            "This link can't be used any more",
            "It was used, replaced by a newer one, or is too old.",
        )
    ways = {
        "verify": (
            "If you have joined, sign in. Else look for a newer mail, or ask for a new invitation.",
            "sign_in",
        ),
        "choose": ("Ask for a new one: the link is good for 30 minutes.", "reset"),
        "undo": (
            "Ask the owner of your organization to change the address of your login.",
            "sign_in",
        ),
    }
    advice, way = ways[kind]
    again = token if kind == "verify" and refusal.status == 410 else ""
    return page.show(
        "link_end.html",
        status=refusal.status,
        title=title,
        words=f"{words} {advice}",
        token=again,
        way=way,
    )
