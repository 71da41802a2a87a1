"""A new customer, one block a page: organization, billing, owner, check answers.

What was typed is kept on our side for a day; each page bears it as well, so that not even the loss
of that loses it."""

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from console import guard
from console.clients import together
from console.forms import Form, opening
from console.views import page
from console.views.page import needs

blp = Blueprint("opening", __name__, url_prefix="/customers/new")
_STEP = "/<any(organization, billing, owner):step>"


@blp.get("")
@needs("organization.create")
def show() -> ResponseReturnValue:
    """Begin, or go on with what was begun."""
    begun = guard.drafts(page.optional_caller(), opening=page.optional_caller().here.key)
    if not begun:
        return redirect(url_for("opening.step", step="organization"), 303)
    form = Form(opening.ALL, guard.draft(page.optional_caller(), begun[0]) or {})
    return redirect(_address(opening.first_open(form), begun[0]), 303)


@blp.post("")
@needs("organization.create")
def restart() -> ResponseReturnValue:
    """Forget what was typed and begin afresh."""
    _forget(request.form.get("key", ""))
    return redirect(url_for("opening.step", step="organization"), 303)


@blp.route(_STEP, methods=["GET", "POST"])
@needs("organization.create")
def step(step: str) -> ResponseReturnValue:
    """One block."""
    form, draft = _filled(step)
    if request.method == "GET" and not draft and step != "organization":
        return redirect(url_for("opening.show"), 303)
    if request.method == "GET":
        return _show(form, step, draft)
    if step == "organization":
        opening.suggest(form)
    draft = _keep(form, draft)
    if request.form.get("go") == "back":
        return redirect(_address(opening.before(step), draft), 303)
    opening.check(form, step)
    return (
        _show(form, step, draft)
        if form.summary
        else redirect(_address(opening.first_open(form), draft), 303)
    )


@blp.route("/check", methods=["GET", "POST"])
@needs("organization.create")
def check() -> ResponseReturnValue:
    """Everything at a glance; create it. However often it is sent, the key of the draft makes it
    one customer."""
    form, draft = _filled("check")
    if (at := opening.first_open(form)) != "check":
        return redirect(_address(at, draft), 303)
    created = page.sent(
        form,
        lambda: page.api().post("/v1/organizations", opening.body(form), key=form.key, wait=10),
    )
    if created is not None:
        _forget(form.key)
        words = "is being set up." if created["status"] == "provisioning" else "was created."
        return page.done(
            f"{created['name']} {words} We sent the owner an email to verify the address.",
            "overview.show",
            org=created["id"],
        )
    if form.refusal:
        draft = _keep(form, draft)
    if form.errors:
        wrong = opening.step_of(next(iter(form.errors)))
        form.summary = [
            (at if at.removeprefix("field-") in opening.names_of(wrong) else "", words)
            for at, words in form.summary
        ]
        return _show(form, wrong, draft)
    api = page.api()
    asked = together(found=lambda: api.get("/v1/organizations", q=form.value("name"), limit=200))
    namesakes = [
        one
        for one in (asked["found"] or {"data": []})["data"]
        if one["name"].casefold() == form.value("name").casefold()
    ]
    return page.show(
        "opening_check.html",
        form=form,
        draft=draft,
        step="check",
        steps=opening.STEPS,
        titles=opening.TITLES,
        fixed=opening.FIXED,
        namesakes=namesakes,
        address=_address,
    )


@blp.get("/place")
@needs("organization.create")
def place() -> ResponseReturnValue:
    """Currency and time zone as the country just chosen suggests them: a part of the page."""
    country = request.args.get("country", "")
    form = Form(opening.fields_of("organization", country), {"country": country})
    opening.suggest(form)
    return page.show("opening_place.html", form=form, fields={one.name: one for one in form.fields})


def _filled(step: str) -> tuple[Form, str]:
    """The form with what is known of it: this page's fields as sent, the others as kept, or else as
    the page bore them; and the draft it is kept in."""
    draft, form = request.values.get("draft", ""), Form(opening.ALL, dict(opening.BEGINNING))
    kept = guard.draft(page.optional_caller(), draft)
    own = opening.names_of(step) if request.method == "POST" else ()
    if request.method == "POST":
        form.take(request.form)
    if kept is not None:
        form.values |= {
            one.name: kept.get(one.name, "") for one in form.fields if one.name not in own
        }
        form.key = kept.get("key") or form.key
        if "draft" in kept and request.method == "GET":
            form.note = "We restored your entries. Check them, then continue."
    if step == "owner" and request.method == "GET":
        form.values["email"] = form.value("email") or form.value("billing_email")
    return form, draft if kept is not None else ""


def _keep(form: Form, draft: str) -> str:
    fields = {**form.kept(), "key": form.key, "opening": page.optional_caller().here.key}
    return guard.keep_draft(page.optional_caller(), fields, draft)


def _forget(key: str) -> None:
    for draft in guard.drafts(page.optional_caller(), key=key):
        guard.drop_draft(page.optional_caller(), draft)


def _address(step: str, draft: str) -> str:
    if step == "check":
        return url_for("opening.check", draft=draft)
    return url_for("opening.step", step=step, draft=draft)


def _show(form: Form, step: str, draft: str) -> ResponseReturnValue:
    form.fields = opening.fields_of(step, form.value("country"))
    return page.show(
        "opening.html",
        form=form,
        step=step,
        draft=draft,
        steps=opening.STEPS,
        titles=opening.TITLES,
        others=[one for one in opening.ALL if one.name not in opening.names_of(step)],
        fields={one.name: one for one in form.fields},
        address=_address,
    )
