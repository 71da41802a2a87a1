"""Who owns an organization, and how that changes."""

from typing import Any

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from console.clients import fetch_all
from console.forms import members as fields
from console.values import people
from console.views import page
from console.views.page import needs

blp = Blueprint("ownership", __name__, url_prefix="/c/<org>/ownership")


@blp.get("")
@needs("ownership.read")
def show(org: str) -> ResponseReturnValue:
    """The offer that waits for an answer, and the changes so far."""
    api, base = page.api(), f"/v1/organizations/{org}"
    organization = api.get(base)
    cursor = request.args.get("cursor")
    found = fetch_all(
        transfers=lambda: api.get(f"{base}/ownership-transfers", limit=20, cursor=cursor),
        me=lambda: api.get("/v1/me"),
    )
    mine = (
        found["me"]["member_id"]
        if found["me"] and page.visitor().workspace.organization["id"] == org
        else None
    )
    return page.show(
        "ownership.html",
        organization=organization,
        found=found["transfers"],
        mine=mine,
        at_once=_at_once(organization),
    )


@blp.route("/new", methods=["GET", "POST"])
@needs("ownership.transfer")
def start(org: str) -> ResponseReturnValue:
    """Choose who is to be the owner, then confirm."""
    api, base = page.api(), f"/v1/organizations/{org}"
    organization = api.get(base)
    form = page.form(
        fields.handing(organization["name"]), {"member_id": request.args.get("member")}
    )
    if not form.value("member_id"):
        wanted = {name: request.args.get(name) for name in ("q", "cursor")}
        found = fetch_all(members=lambda: api.get(f"{base}/members", limit=50, **wanted))["members"]
        return page.show(
            "ownership_choose.html",
            organization=organization,
            found=found,
            obstacle=people.obstacle,
        )
    member = api.get(f"{base}/members/{form.value('member_id')}")
    if request.method == "POST" and form.value("typed") != organization["name"]:
        form.wrong("typed", f"Enter the organization name exactly: {organization['name']}")
    created = (
        None
        if form.summary
        else page.sent(
            form,
            lambda: page.api().post(
                f"{base}/ownership-transfers",
                {"member_id": member["id"], "reason": form.value("reason")},
                key=form.key,
            ),
        )
    )
    if created is None:
        return page.show(
            "ownership_start.html",
            organization=organization,
            member=member,
            form=form,
            obstacle=people.obstacle(member),
            at_once=_at_once(organization),
            back=url_for("ownership.show"),
        )
    if created["status"] == "offered":
        return page.done(
            f"Ownership was offered to {member['name']}, who has 72 hours to accept. We sent them an email.",
            "ownership.show",
        )
    return page.done(f"{member['name']} is now the owner.", "ownership.show")


@blp.route("/<grt>/accept", methods=["GET", "POST"])
@needs("ownership.accept")
def accept(org: str, grt: str) -> ResponseReturnValue:
    """Take what was offered to oneself."""
    return _answer(org, grt, "accept", "You are now the owner.")


@blp.route("/<grt>/take-back", methods=["GET", "POST"])
@needs("ownership.undo")
def take_back(org: str, grt: str) -> ResponseReturnValue:
    """Cancel an offer, or undo what the provider did."""
    return _answer(org, grt, "take_back", "The previous owner has been restored.")


def _answer(org: str, grt: str, what: str, words: str) -> ResponseReturnValue:
    base = f"/v1/organizations/{org}"
    organization, form = page.api().get(base), page.form(())
    path = f"{base}/ownership-transfers/{grt}"
    response = page.sent(
        form,
        lambda: (
            page.api().post(f"{path}/accept", key=form.key)
            if what == "accept"
            else page.api().delete(path)
        ),
    )
    if response is None:
        return page.show(
            "ownership_confirm.html",
            organization=organization,
            form=form,
            what=what,
            transfer=_transfer(base, grt),
            back=url_for("ownership.show"),
        )
    if what == "accept" and (renew := page.api().renew):
        renew()  # the role in the token has changed
    return page.done(words, "ownership.show")


def _transfer(at: str, grt: str) -> Any:
    """The change that is asked about, where it is among the last."""
    found = page.api().get(f"{at}/ownership-transfers", limit=20)["data"]
    return next((one for one in found if one["id"] == grt), None)


def _at_once(organization: Any) -> bool:
    """Whether it is the provider who gives: then nobody has to accept."""
    return page.visitor().is_staff and organization["kind"] == "customer"
