"""A new customer, one block a page: organization, billing, owner, check answers.

What was typed is kept on our side for a day; each page bears it as well, so that not even the loss
of that loses it."""

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from console.clients import fetch_all
from console.forms import Form, new_customer
from console.guard import drafts
from console.views import page
from console.views.page import needs

blp = Blueprint("new_customer", __name__, url_prefix="/customers/new")
_STEP = "/<any(organization, billing, owner):step>"


@blp.get("")
@needs("organization.create")
def show() -> ResponseReturnValue:
    """Begin, or go on with what was begun."""
    begun = drafts.search(page.visitor(), opening=page.visitor().workspace.key)
    if not begun:
        return redirect(url_for("new_customer.step", step="organization"), 303)
    form = Form(new_customer.ALL, drafts.load(page.visitor(), begun[0]) or {})
    return redirect(_address(new_customer.first_open(form), begun[0]), 303)


@blp.post("")
@needs("organization.create")
def restart() -> ResponseReturnValue:
    """Forget what was typed and begin afresh."""
    _forget(request.form.get("key", ""))
    return redirect(url_for("new_customer.step", step="organization"), 303)


@blp.route(_STEP, methods=["GET", "POST"])
@needs("organization.create")
def step(step: str) -> ResponseReturnValue:
    """One block."""
    form, draft = _filled(step)
    if request.method == "GET" and not draft and step != "organization":
        return redirect(url_for("new_customer.show"), 303)
    if request.method == "GET":
        return _show(form, step, draft)
    if step == "organization":
        new_customer.suggest(form)
    draft = _keep(form, draft)
    if request.form.get("go") == "back":
        return redirect(_address(new_customer.before(step), draft), 303)
    new_customer.check(form, step)
    return (
        _show(form, step, draft)
        if form.summary
        else redirect(_address(new_customer.first_open(form), draft), 303)
    )


@blp.route("/check", methods=["GET", "POST"])
@needs("organization.create")
def check() -> ResponseReturnValue:
    """Everything at a glance; create it. However often it is sent, the key of the draft makes it
    one customer."""
    form, draft = _filled("check")
    if (at := new_customer.first_open(form)) != "check":
        return redirect(_address(at, draft), 303)
    created = page.sent(
        form,
        lambda: page.api().post(
            "/v1/organizations", new_customer.body(form), key=form.key, wait=10
        ),
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
        wrong = new_customer.step_of(next(iter(form.errors)))
        form.summary = [
            (at if at.removeprefix("field-") in new_customer.names_of(wrong) else "", words)
            for at, words in form.summary
        ]
        return _show(form, wrong, draft)
    api = page.api()
    asked = fetch_all(found=lambda: api.get("/v1/organizations", q=form.value("name"), limit=200))
    namesakes = [
        one
        for one in (asked["found"] or {"data": []})["data"]
        if one["name"].casefold() == form.value("name").casefold()
    ]
    return page.show(
        "new_customer_check.html",
        form=form,
        draft=draft,
        step="check",
        steps=new_customer.STEPS,
        titles=new_customer.TITLES,
        fixed=new_customer.FIXED,
        namesakes=namesakes,
        address=_address,
    )


@blp.get("/place")
@needs("organization.create")
def suggest_locale() -> ResponseReturnValue:
    """Currency and time zone as the country just chosen suggests them: a part of the page."""
    country = request.args.get("country", "")
    form = Form(new_customer.fields_of("organization", country), {"country": country})
    new_customer.suggest(form)
    return page.show(
        "new_customer_locale.html", form=form, fields={one.name: one for one in form.fields}
    )


def _filled(step: str) -> tuple[Form, str]:
    """The form with what is known of it: this page's fields as sent, the others as kept, or else as
    the page bore them; and the draft it is kept in."""
    draft, form = (
        request.values.get("draft", ""),
        Form(new_customer.ALL, dict(new_customer.BEGINNING)),
    )
    kept = drafts.load(page.visitor(), draft)
    own = new_customer.names_of(step) if request.method == "POST" else ()
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
    fields = {**form.kept(), "key": form.key, "opening": page.visitor().workspace.key}
    return drafts.save(page.visitor(), fields, draft)


def _forget(key: str) -> None:
    for draft in drafts.search(page.visitor(), key=key):
        drafts.delete(page.visitor(), draft)


def _address(step: str, draft: str) -> str:
    if step == "check":
        return url_for("new_customer.check", draft=draft)
    return url_for("new_customer.step", step=step, draft=draft)


def _show(form: Form, step: str, draft: str) -> ResponseReturnValue:
    form.fields = new_customer.fields_of(step, form.value("country"))
    return page.show(
        "new_customer.html",
        form=form,
        step=step,
        draft=draft,
        steps=new_customer.STEPS,
        titles=new_customer.TITLES,
        others=[one for one in new_customer.ALL if one.name not in new_customer.names_of(step)],
        fields={one.name: one for one in form.fields},
        address=_address,
    )
