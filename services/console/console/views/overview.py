"""The overview of an organization."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from chassis.runtime import clock
from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from console.clients import fetch_all
from console.values import charts
from console.views import page
from console.views.page import needs

blp = Blueprint("overview", __name__, url_prefix="/c/<org>")
_BATCH = 200
_LATEST = 10


@blp.get("")
@needs("organization.read")
def short(org: str) -> ResponseReturnValue:
    """The address of a customer without a section."""
    return redirect(url_for("overview.show", org=org), 303)


@blp.get("/overview")
@needs("organization.read")
def show(org: str) -> ResponseReturnValue:
    """Details, figures and recent activity."""
    api, base = page.api(), f"/v1/organizations/{org}"
    organization = api.get(base)
    responses = fetch_all(**_requests(org))
    account, transactions, members = (
        responses.get(name) for name in ("account", "transactions", "members")
    )
    burn = (
        charts.burn(account, transactions, organization["timezone"], clock.now())
        if account and transactions
        else None
    )
    return page.show(
        "overview.html",
        organization=organization,
        burn=burn,
        latest=transactions["data"][:_LATEST] if transactions else (),
        kinds=_kinds(members["data"]) if members else {},
        **responses,
    )


def _requests(org: str) -> dict[str, Callable[[], Any]]:
    """The requests that the role allows. The chart and the recent transactions share a response.
    Staff see support sessions on Home instead."""
    get, base = page.api().get, f"/v1/organizations/{org}"
    requests = {
        "account": ("account.read", partial(get, f"{base}/account")),
        "transactions": (
            "transactions.read",
            partial(get, f"{base}/account/transactions", limit=_BATCH),
        ),
        "members": ("member.list", partial(get, f"{base}/members", limit=_BATCH)),
        "timeline": ("timeline.read", partial(get, f"{base}/timeline", limit=_LATEST)),
    }
    if not page.visitor().is_staff:
        requests["access"] = ("support.read", partial(get, f"{base}/remote-support", limit=1))
    return {
        name: send for name, (operation, send) in requests.items() if page.visitor().may(operation)
    }


def _kinds(members: list[dict[str, Any]]) -> dict[str, int]:
    """The number of members of each kind."""
    kinds = Counter(member["role"] if member["portal_access"] else "no_login" for member in members)
    kinds.update(member["status"] for member in members if member["status"] != "active")
    return kinds
