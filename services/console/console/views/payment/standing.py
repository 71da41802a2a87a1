"""How an account stands, and what it holds for others; a held amount let go."""

from flask import request
from flask.typing import ResponseReturnValue

from console.clients import Missing, together
from console.values import figures
from console.views import desk, page
from console.views.desk import Sheet
from console.views.page import needs
from console.views.payment.place import blp


@blp.get("/payment")
@needs("account.read")
def show(org: str) -> ResponseReturnValue:
    """Every figure with how it comes about, the terms, and what is reserved."""
    api, at, cursor = page.api(), f"/v1/organizations/{org}", request.args.get("cursor")
    questions = {
        "organization": lambda: api.get(at),
        "account": lambda: api.get(f"{at}/account"),
        "reservations": lambda: api.get(
            f"{at}/account/reservations", status="open", limit=25, cursor=cursor
        ),
    }
    if page.optional_caller().may("settings.read"):
        questions["settings"] = lambda: api.get("/v1/settings")
    found = together(**questions)
    for name in ("organization", "account"):
        if isinstance(found[name], Missing):
            raise found[name].refusal
    settings = found.pop("settings", None)
    account, zone = found["account"], found["organization"]["timezone"]
    return page.show(
        "payment.html",
        **found,
        formulas=figures.formulas(account),
        limit_used=figures.limit_used(account),
        empty_on=figures.empty_on(account, zone),
        unbilled=figures.UNBILLED.get(settings["invoicing"], "") if settings else "",
    )


@blp.route("/payment/reservations/<reservation>/release", methods=["GET", "POST"])
@needs("account.reserve")
def release(org: str, reservation: str) -> ResponseReturnValue:
    """Let go of a reservation that is stuck."""
    at = desk.sit(org)
    held = page.api().get(f"{at.at}/account/reservations/{reservation}")
    sheet = Sheet(
        "Release reservation?",
        "Release reservation",
        lambda answer: f"Released {at.money(answer['released'])}.",
        lead="The reserved amount becomes usable again. It can no longer be charged under this reservation.",
        danger=True,
        about=(
            ("Reservation", held["description"]),
            ("Amount", at.money(held["amount"])),
            ("Captured", at.money(held["captured"])),
        ),
    )
    path = f"account/reservations/{reservation}/release"
    return desk.ask(at, sheet, (), lambda form: desk.post(at, path, {}, form))
