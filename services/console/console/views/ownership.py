"""The owner of an organization, and ownership transfers."""

from typing import Any

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from console.clients import fetch_all
from console.forms import Form
from console.forms import members as fields
from console.values import people
from console.views import members, page
from console.views.page import needs

blp = Blueprint("ownership", __name__, url_prefix="/c/<org>/ownership")


@blp.get("")
@needs("ownership.read")
def show(org: str) -> ResponseReturnValue:
    """The open offer and past transfers."""
    api, base = page.api(), f"/v1/organizations/{org}"
    organization = api.get(base)
    cursor = request.args.get("cursor")
    responses = fetch_all(
        owners=lambda: api.get(f"{base}/members", role="owner", limit=1),
        transfers=lambda: api.get(f"{base}/ownership-transfers", limit=20, cursor=cursor),
        me=lambda: api.get("/v1/me"),
    )
    mine = (
        responses["me"]["member_id"]
        if responses["me"] and page.visitor().workspace.organization["id"] == org
        else None
    )
    return page.show(
        "ownership.html",
        organization=organization,
        owner=_owner(organization, responses["owners"]),
        transfers=responses["transfers"],
        mine=mine,
        at_once=_at_once(organization),
        transfers_ownership=members.transfers_ownership(organization),
    )


def _owner(organization: dict[str, Any], owners: Any) -> dict[str, str]:
    """Name and email of the owner. A transfer is seen at once in the members, and only after a
    message in the organization, which is all that some roles may read."""
    if owners and owners["data"]:
        return {"name": people.name(owners["data"][0]), "email": owners["data"][0]["email"]}
    known = organization["owner"]
    name = f"{known.get('given_name', '')} {known.get('family_name', '')}"
    return {"name": name, "email": known.get("email", "")}


@blp.route("/new", methods=["GET", "POST"])
@needs("ownership.transfer")
def start(org: str) -> ResponseReturnValue:
    """Choose the new owner, then confirm."""
    base = f"/v1/organizations/{org}"
    organization = page.api().get(base)
    values = {"member_id": request.args.get("member")}
    form = page.form(fields.ownership_transfer(organization["name"]), values)
    if not form.value("member_id"):
        return _choose(base, organization)
    member = page.api().get(f"{base}/members/{form.value('member_id')}")
    if request.method == "POST" and form.value("typed") != organization["name"]:
        form.add_error("typed", f"Enter the organization name exactly: {organization['name']}")
    transfer = None if form.summary else page.submit(form, lambda: _transfer_to(base, member, form))
    if transfer is None:
        return page.show(
            "ownership_start.html",
            organization=organization,
            member=member,
            form=form,
            obstacle=people.obstacle(member),
            at_once=_at_once(organization),
            scheduled=_is_scheduled(organization),
            back=url_for("ownership.show"),
        )
    message = f"{people.name(member)} is now the owner."
    if transfer["status"] == "offered":
        message = (
            f"Ownership was offered to {people.name(member)}, who has 72 hours to accept. "
            "We sent them an email."
        )
    if transfer["status"] == "scheduled":
        message = (
            f"{people.name(member)} becomes the owner in 72 hours. We emailed the current owner "
            "and the admins, who can stop it."
        )
    return page.done(message, "ownership.show")


def _choose(base: str, organization: dict[str, Any]) -> Response:
    wanted = {name: request.args.get(name) for name in ("q", "cursor")}
    api = page.api()
    responses = fetch_all(members=lambda: api.get(f"{base}/members", limit=50, **wanted))
    return page.show(
        "ownership_choose.html",
        organization=organization,
        members=responses["members"],
        obstacle=people.obstacle,
    )


def _transfer_to(base: str, member: dict[str, Any], form: Form) -> Any:
    body = {"member_id": member["id"], "reason": form.value("reason")}
    return page.api().post(f"{base}/ownership-transfers", body, key=form.key)


@blp.route("/<grt>/accept", methods=["GET", "POST"])
@needs("ownership.accept")
def accept(org: str, grt: str) -> ResponseReturnValue:
    """Accept an offer."""
    return _confirm(org, grt, "accept", "You are now the owner.")


@blp.route("/<grt>/take-back", methods=["GET", "POST"])
@needs("ownership.undo")
def take_back(org: str, grt: str) -> ResponseReturnValue:
    """Cancel an offer, stop a scheduled transfer, or undo one made by the provider."""
    return _confirm(org, grt, "take_back", "The previous owner has been restored.")


def _confirm(org: str, grt: str, what: str, words: str) -> ResponseReturnValue:
    base = f"/v1/organizations/{org}"
    organization, form = page.api().get(base), page.form(())
    path = f"{base}/ownership-transfers/{grt}"
    response = page.submit(
        form,
        lambda: (
            page.api().post(f"{path}/accept", key=form.key)
            if what == "accept"
            else page.api().delete(path)
        ),
    )
    if response is None:
        transfer = _transfer(base, grt)
        status = transfer["status"] if transfer else "offered"
        question, button = _question(what, status)
        return page.show(
            "ownership_confirm.html",
            organization=organization,
            form=form,
            what=what,
            offered=status == "offered",
            question=question,
            button=button,
            transfer=transfer,
            back=url_for("ownership.show"),
        )
    if what == "accept" and (renew := page.api().renew):
        renew()  # the role in the token has changed
    if response["status"] == "cancelled":
        words = "Canceled. The owner stays the same."
    return page.done(words, "ownership.show")


def _question(what: str, status: str) -> tuple[str, str]:
    """The question of the page, and the button."""
    if what == "accept":
        return "Accept ownership?", "Accept ownership"
    if status == "scheduled":
        return "Stop the transfer?", "Stop transfer"
    if status == "offered":
        return "Cancel the offer?", "Cancel offer"
    return "Undo the transfer?", "Undo transfer"


def _transfer(at: str, grt: str) -> Any:
    """A transfer, if it is one of the last 20."""
    transfers = page.api().get(f"{at}/ownership-transfers", limit=20)["data"]
    return next((transfer for transfer in transfers if transfer["id"] == grt), None)


def _at_once(organization: Any) -> bool:
    """Whether the provider transfers the ownership, which nobody has to accept."""
    return page.visitor().is_staff and organization["kind"] == "customer"


def _is_scheduled(organization: Any) -> bool:
    """Whether such a transfer takes effect only after 72 hours."""
    return _at_once(organization) and bool(organization["managed_by"] == "customer")
