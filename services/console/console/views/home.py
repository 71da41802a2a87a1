"""Home: which customers need attention."""

from collections.abc import Callable
from functools import partial
from typing import Any

from chassis.runtime import clock
from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from console.clients import Missing, fetch_all
from console.values import days
from console.values.attention import KINDS
from console.views import page

blp = Blueprint("home", __name__)
# The queue shows the first of each kind, and where the others are.
_SHOWN = 5
_RECENT = 8
_MAX_SCHEDULED = 200


@blp.get("")
def short() -> ResponseReturnValue:
    """The address of a workspace without a page."""
    return redirect(url_for("home.show"), 303)


@blp.get("/home")
def show() -> ResponseReturnValue:
    """Staff see all customers; a customer's members their own organization."""
    if not page.visitor().is_staff:
        return redirect(
            url_for("overview.show", org=page.visitor().workspace.organization["id"]), 303
        )
    responses, now = fetch_all(**_requests()), clock.now()
    scheduled = responses["deletion_scheduled"]
    leaving = sorted(
        (customer for customer in (scheduled["data"] if scheduled else ()) if customer["purge_at"]),
        key=lambda customer: str(customer["purge_at"]),
    )
    queue = {kind: responses[kind] for kind in KINDS}
    return page.show(
        "home.html",
        queue=queue,
        quiet=not any(
            isinstance(customers, Missing) or customers["data"] for customers in queue.values()
        ),
        leaving=[
            (days.left(customer["purge_at"], now), customer) for customer in leaving[:_RECENT]
        ],
        more_leaving=len(leaving) > _RECENT or bool(scheduled and scheduled["has_more"]),
        checked_at=clock.stamp(now),
        shown=_SHOWN,
        **responses,
    )


def _requests() -> dict[str, Callable[[], Any]]:
    """The requests, one for each card. The API cannot sort by date of deletion, so all scheduled
    deletions are loaded."""
    api, may = page.api(), page.visitor().may
    listed = partial(api.get, "/v1/organizations")
    requests: dict[str, Callable[[], Any]] = {
        kind: partial(
            listed, attention=kind, limit=_MAX_SCHEDULED if kind == "deletion_scheduled" else _SHOWN
        )
        for kind in KINDS
    }
    requests["recent"] = partial(listed, sort="-created_at", limit=_RECENT)
    if may("support.overview"):
        requests["support"] = partial(api.get, "/v1/remote-support", limit=1)
    if may("wallet.read"):
        requests["wallet"] = partial(api.get, "/v1/wallet")
    return requests
