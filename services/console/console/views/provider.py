"""The provider's settings and wallet."""

from typing import Any

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from console.forms import Form, money, provider
from console.guard import drafts
from console.values import locale
from console.values.amounts import money as label_money
from console.views import page, support
from console.views.page import needs

blp = Blueprint("provider", __name__, url_prefix="/provider")


@blp.get("/settings")
@needs("settings.read")
def settings() -> ResponseReturnValue:
    """The settings; read-only for those who may not change them."""
    now, match = _read()
    draft = request.args.get("draft")
    kept = (drafts.load(page.visitor(), draft) if draft else None) or {}
    form = page.form(
        provider.fields(_rows(kept, len(now["tax_rates"]))), provider.values(now), match=match
    )
    return _show(form, now)


@blp.post("/settings")
@needs("settings.change")
def change() -> ResponseReturnValue:
    """Save the settings, or add or remove a tax rate without saving yet."""
    do, rows = request.form.get("do", ""), _rows(request.form, 0)
    form = page.form(provider.fields(rows))
    if do == "add":
        form.fields = provider.fields(rows + 1)
        form.values["rows"] = str(min(rows + 1, provider.MAX_RATES))
    elif do.startswith("drop-") and do[5:].isdecimal() and len(do) < 9:
        form.values = provider.drop_row({**form.values, "rows": str(rows)}, int(do[5:]))
        form.fields = provider.fields(int(form.values["rows"]))
    else:
        saved = page.submit(
            form,
            lambda: page.api().patch(
                "/v1/settings", provider.body(form), match=form.match, wait=10
            ),
        )
        if saved is not None:
            support.clear_cache()
            late = (
                ""
                if len(saved["applied_by"]) == 2
                else " Some services may use the old settings for a moment."
            )
            return page.done(f"Settings saved.{late}", "provider.settings")
    now, match = _read()
    page.show_conflict(form, provider.values(now), match=match)
    return _show(form, now)


@blp.get("/wallet")
@needs("wallet.read")
def wallet() -> ResponseReturnValue:
    """The provider's money in each currency, the customers' share of it, and its transactions."""
    api = page.api()
    balances, chosen = api.get("/v1/wallet"), request.args.get("currency")
    if chosen not in (balance["currency"] for balance in balances["data"]):
        chosen = None
    return page.show(
        "wallet.html",
        wallet=balances,
        transactions=_transactions(chosen, request.args.get("cursor")),
        chosen=chosen,
    )


@blp.route("/wallet/top-up", methods=["GET", "POST"])
@needs("wallet.top_up")
def top_up() -> ResponseReturnValue:
    """Top up the provider's wallet."""
    codes = [purse["currency"] for purse in page.api().get("/v1/wallet")["data"]]
    form = page.form(
        provider.top_up([*codes, *(code for code, _ in locale.currencies() if code not in codes)]),
        {"currency": request.args.get("currency", "")},
    )
    done = page.submit(
        form, lambda: page.api().post("/v1/wallet/top-ups", form.body(), key=form.key)
    )
    if done is not None:
        return page.done("Top-up recorded.", "provider.wallet")
    return page.show("wallet_top_up.html", form=form)


@blp.route("/wallet/transactions/<transaction>/reverse", methods=["GET", "POST"])
@needs("wallet.top_up")
def reverse(transaction: str) -> ResponseReturnValue:
    """Reverse an incorrect top-up of the provider's wallet."""
    form = page.form(money.REVERSAL)
    path = f"/v1/wallet/transactions/{transaction}/reverse"
    done = page.submit(form, lambda: page.api().post(path, form.body(), key=form.key))
    if done is not None:
        amount = label_money(done["amount"], done["currency"])
        return page.done(f"Reversed with a transaction of {amount}.", "provider.wallet")
    listed = _transactions(request.args.get("currency"), request.args.get("cursor"))
    original = next((row for row in listed["data"] if row["id"] == transaction), None)
    return page.show("wallet_reversal.html", form=form, original=original)


def _transactions(currency: str | None, cursor: str | None) -> dict[str, Any]:
    """A page of the wallet's transactions."""
    listed: dict[str, Any] = page.api().get(
        "/v1/wallet/transactions", currency=currency, cursor=cursor, limit=50
    )
    return listed


def _read() -> tuple[dict[str, Any], str]:
    response = page.api().ask("GET", "/v1/settings")
    return response.json(), response.headers.get("ETag", "")


def _rows(typed: Any, otherwise: int) -> int:
    """The number of tax rates in a form."""
    rows = str(typed.get("rows", ""))
    if not rows.isdecimal() or len(rows) > 3:
        return otherwise
    return min(int(rows), provider.MAX_RATES)


def _show(form: Form, now: dict[str, Any]) -> Response:
    rows = [provider.tax_row(at) for at in range(_rows(form.values, 0))]
    return page.show(
        "provider_settings.html", form=form, now=now, blocks=provider.BLOCKS, rows=rows
    )
