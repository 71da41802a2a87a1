"""Create a customer in steps: organization, billing, owner, check answers.

Answers are saved as a draft for a day. Each page carries them as well, so that losing the draft
loses nothing."""

from typing import Any

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
    """Start, or continue a saved draft."""
    saved = drafts.search(page.visitor(), opening=page.visitor().workspace.key)
    if not saved:
        return redirect(url_for("new_customer.step", step="organization"), 303)
    form = Form(new_customer.ALL, drafts.load(page.visitor(), saved[0]) or {})
    return redirect(_address(new_customer.first_open(form), saved[0]), 303)


@blp.post("")
@needs("organization.create")
def restart() -> ResponseReturnValue:
    """Delete the draft and start over."""
    _delete_drafts(request.form.get("key", ""))
    return redirect(url_for("new_customer.step", step="organization"), 303)


@blp.route(_STEP, methods=["GET", "POST"])
@needs("organization.create")
def step(step: str) -> ResponseReturnValue:
    """One step."""
    form, draft = _filled(step)
    if request.method == "GET" and not draft and step != "organization":
        return redirect(url_for("new_customer.show"), 303)
    if request.method == "GET":
        return _show(form, step, draft)
    if step == "organization":
        new_customer.suggest(form)
    draft = _save(form, draft)
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
    """Review all answers and create the customer. The draft's key makes repeated submissions one
    customer."""
    form, draft = _filled("check")
    unfinished = new_customer.first_open(form)
    if unfinished != "check":
        return redirect(_address(unfinished, draft), 303)
    created = page.submit(form, lambda: _create(form))
    if created is not None:
        _delete_drafts(form.key)
        state = "is being set up." if created["status"] == "provisioning" else "was created."
        return page.done(
            f"{created['name']} {state} We sent the owner an email to verify the address.",
            "overview.show",
            org=created["id"],
        )
    if form.refusal:
        draft = _save(form, draft)
    if form.errors:
        return _show_errors(form, draft)
    return page.show(
        "new_customer_check.html",
        form=form,
        draft=draft,
        step="check",
        steps=new_customer.STEPS,
        titles=new_customer.TITLES,
        fixed=new_customer.FIXED,
        namesakes=_namesakes(form.value("name")),
        address=_address,
    )


def _create(form: Form) -> Any:
    return page.api().post("/v1/organizations", new_customer.body(form), key=form.key, wait=10)


def _show_errors(form: Form, draft: str) -> ResponseReturnValue:
    """The first step with an error; errors of other steps are shown without a link."""
    step = new_customer.step_of(next(iter(form.errors)))
    names = new_customer.names_of(step)
    form.summary = [
        (anchor if anchor.removeprefix("field-") in names else "", text)
        for anchor, text in form.summary
    ]
    return _show(form, step, draft)


def _namesakes(name: str) -> list[Any]:
    """The customers that have this name already; none if the API does not respond."""
    api = page.api()
    responses = fetch_all(customers=lambda: api.get("/v1/organizations", q=name, limit=200))
    customers = responses["customers"]["data"] if responses["customers"] else []
    return [customer for customer in customers if customer["name"].casefold() == name.casefold()]


@blp.get("/place")
@needs("organization.create")
def suggest_locale() -> ResponseReturnValue:
    """The currency and time zone fields as the selected country suggests them."""
    country = request.args.get("country", "")
    form = Form(new_customer.fields_of("organization", country), {"country": country})
    new_customer.suggest(form)
    return page.show(
        "new_customer_locale.html", form=form, fields={field.name: field for field in form.fields}
    )


def _filled(step: str) -> tuple[Form, str]:
    """The form with all answers so far, and the id of its draft: the fields of this step as sent,
    the others from the draft, or else as the page carried them."""
    draft = request.values.get("draft", "")
    form = Form(new_customer.ALL, dict(new_customer.DEFAULTS))
    kept = drafts.load(page.visitor(), draft)
    own = new_customer.names_of(step) if request.method == "POST" else ()
    if request.method == "POST":
        form.load(request.form)
    if kept is not None:
        form.values |= {
            field.name: kept.get(field.name, "") for field in form.fields if field.name not in own
        }
        form.key = kept.get("key") or form.key
        if "draft" in kept and request.method == "GET":
            form.note = "We restored your entries. Check them, then continue."
    if step == "owner" and request.method == "GET":
        form.values["email"] = form.value("email") or form.value("billing_email")
    return form, draft if kept is not None else ""


def _save(form: Form, draft: str) -> str:
    fields = {**form.draft(), "key": form.key, "opening": page.visitor().workspace.key}
    return drafts.save(page.visitor(), fields, draft)


def _delete_drafts(key: str) -> None:
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
        others=[
            field for field in new_customer.ALL if field.name not in new_customer.names_of(step)
        ],
        fields={field.name: field for field in form.fields},
        address=_address,
    )
