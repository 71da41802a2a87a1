"""An account's figures and reservations."""

from datetime import date

from flask import request
from flask.typing import ResponseReturnValue

from console.clients import Missing, fetch_all
from console.values import days, figures, payment_actions
from console.views import money_form, page
from console.views.money_form import FormPage
from console.views.page import needs
from console.views.payment.blueprint import blp


@blp.get("/payment")
@needs("account.read")
def show(org: str) -> ResponseReturnValue:
    """All figures with their formulas, the terms and the reservations."""
    api, base, cursor = page.api(), f"/v1/organizations/{org}", request.args.get("cursor")
    requests = {
        "organization": lambda: api.get(base),
        "account": lambda: api.get(f"{base}/account"),
        "reservations": lambda: api.get(
            f"{base}/account/reservations", status="open", limit=25, cursor=cursor
        ),
    }
    if page.visitor().may("settings.read"):
        requests["settings"] = lambda: api.get("/v1/settings")
    responses = fetch_all(**requests)
    for name in ("organization", "account"):
        if isinstance(responses[name], Missing):
            raise responses[name].refusal
    settings = responses.pop("settings", None)
    account, zone = responses["account"], responses["organization"]["timezone"]
    return page.show(
        "payment.html",
        **responses,
        actions=payment_actions.actions(account) if account["status"] != "closed" else (),
        formulas=figures.formulas(account),
        limit_term=figures.limit_term(account),
        still_held=figures.still_held,
        limit_until=_last_day(account["credit_limit_expires_at"], zone),
        limit_used=figures.limit_used(account),
        empty_on=figures.empty_on(account, zone),
        unbilled=figures.UNBILLED.get(settings["invoicing"], "") if settings else "",
    )


def _last_day(ends_at: str | None, zone: str) -> date | None:
    return days.last_day(ends_at, zone) if ends_at else None


@blp.route("/payment/reservations/<reservation>/release", methods=["GET", "POST"])
@needs("account.reserve")
def release(org: str, reservation: str) -> ResponseReturnValue:
    """Release a reservation."""
    customer = money_form.load(org)
    held = page.api().get(f"{customer.path}/account/reservations/{reservation}")
    form_page = FormPage(
        "Release reservation?",
        "Release reservation",
        lambda result: f"Released {customer.money(result['released'])}.",
        lead="The reserved amount becomes usable again. It can no longer be charged under this "
        "reservation.",
        danger=True,
        about=(
            ("Reservation", held["description"]),
            ("Amount", customer.money(held["amount"])),
            ("Still reserved", customer.money(figures.still_held(held, customer.currency))),
            ("Charged so far", customer.money(held["captured"])),
        ),
    )
    path = f"account/reservations/{reservation}/release"
    return money_form.handle(
        customer, form_page, (), lambda form: money_form.post(customer, path, {}, form)
    )
