"""The members of an organization: the list, one member, and actions on them."""

from typing import Any

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from console.clients import Api, Refusal, fetch_all
from console.forms import members as fields
from console.values import left_behind, people
from console.values.member_actions import ACTIONS, MemberAction
from console.views import page
from console.views.page import needs

blp = Blueprint("members", __name__, url_prefix="/c/<org>/members")
FILTERS = ("q", "role", "status", "portal_access")


@blp.get("")
@needs("member.list")
def show(org: str) -> ResponseReturnValue:
    """All members, by name."""
    api, base = page.api(), f"/v1/organizations/{org}"
    organization = api.get(base)
    filters = ("q", "role") if _sees_names_only() else FILTERS
    wanted = {name: request.args.get(name) for name in (*filters, "cursor")}
    members = fetch_all(members=lambda: api.get(f"{base}/members", limit=50, **wanted))["members"]
    return page.show(
        "members.html",
        organization=organization,
        members=members,
        role=people.role,
        filtered=any(wanted[name] for name in filters),
        names_only=_sees_names_only(),
        can=_can(organization),
    )


@blp.route("/new", methods=["GET", "POST"])
@needs("member.add")
def add(org: str) -> ResponseReturnValue:
    """Add a member, with or without portal access."""
    organization = page.api().get(f"/v1/organizations/{org}")
    kind = organization["kind"]
    form = page.form(
        fields.new_member(kind, _manageable_ranks(org), admits=_admits(organization)),
        {"role": "viewer" if kind == "provider" else "member"},
    )
    created = page.submit(
        form,
        lambda: page.api().post(
            f"/v1/organizations/{org}/members", fields.body(form, kind), key=form.key
        ),
    )
    if created is None:
        return page.show(
            "member_form.html",
            organization=organization,
            form=form,
            admits=_admits(organization),
            title="Add member",
            verb="Add member",
            back=url_for("members.show"),
        )
    if "pin" in created:
        return _pin(organization, created, "was added")
    return page.done(
        f"{people.name(created)} was added. We sent an email to {created['email']} with a link to "
        "join.",
        "members.detail",
        member=created["id"],
    )


@blp.get("/<member>")
@needs("member.read")
def detail(org: str, member: str) -> ResponseReturnValue:
    """One member, and the available actions."""
    organization, person = _both(page.api(), org, member)
    return page.show(
        "member.html",
        organization=organization,
        member=person,
        role=people.role,
        actions=ACTIONS,
        can=_can(organization, person),
        obstacle=people.obstacle(person),
    )


@blp.route("/<member>/edit", methods=["GET", "POST"])
@needs("member.update")
def edit(org: str, member: str) -> ResponseReturnValue:
    """Edit a member."""
    base = f"/v1/organizations/{org}/members/{member}"
    organization = page.api().get(f"/v1/organizations/{org}")
    response = page.api().ask("GET", base)
    before, kind = response.json(), organization["kind"]
    login = page.visitor().may("member.change_login")
    values, match = fields.current_values(before, kind), response.headers.get("ETag", "")
    admits = _admits(organization)
    form = page.form(
        fields.edit_member(
            before,
            kind,
            _manageable_ranks(org),
            is_own=_is_own(before),
            login=login,
            admits=admits,
        ),
        values,
        match=match,
    )
    after = page.submit(
        form, lambda: page.api().patch(base, fields.body(form, kind), match=form.match)
    )
    if after is None:
        page.show_conflict(form, values, match=match)
        return page.show(
            "member_form.html",
            organization=organization,
            form=form,
            member=before,
            admits=admits,
            title=f"Edit {people.name(before)}",
            verb="Save changes",
            back=url_for("members.detail", member=member),
        )
    if "pin" in after:
        return _pin(organization, after, "no longer has portal access")
    return page.done(_saved(before, after), "members.detail", member=member)


def _is_own(member: Any) -> bool:
    visitor = page.visitor()
    is_acting = visitor.workspace.act is not None
    return not is_acting and bool(member["identity_id"] == visitor.browser.identity_id)


def _sees_names_only() -> bool:
    at = page.visitor().workspace
    return bool(at.organization["kind"] == "customer" and at.role == "member")


def _saved(before: Any, after: Any) -> str:
    if after["pending_email"] and after["pending_email"] != before["pending_email"]:
        return (
            f"Changes saved. We sent an email to {after['pending_email']} with a link to confirm "
            "the address. Until then the current one works."
        )
    gets_access = after["portal_access"] and not before["portal_access"]
    if not gets_access and after["email"] == before["email"]:
        return "Changes saved."
    return f"Changes saved. We sent an email to {after['email']} with a link to verify the address."


def _action_view(action: MemberAction) -> Any:
    @needs(action.operation)
    def view(org: str, member: str) -> ResponseReturnValue:
        organization, person = _both(page.api(), org, member)
        form, base = page.form(()), f"/v1/organizations/{org}/members/{member}"
        counts = page.api().get(f"{base}/left-behind") if action.ends_access else {}
        gone = action.operation == "member.remove"
        response = page.submit(
            form,
            lambda: (
                page.api().delete(base)
                if gone
                else page.api().post(f"{base}/{action.path}", key=form.key)
            ),
        )
        if response is None:
            return page.show(
                "member_action.html",
                organization=organization,
                member=person,
                form=form,
                action=action,
                left=left_behind.consequences(counts),
                back=url_for("members.detail", member=member),
            )
        if "pin" in response:
            return _pin(organization, response, "has a new PIN")
        ended = left_behind.outcome(response.get("left_behind", counts))
        success = " ".join((people.name(person), action.success, *ended))
        return (
            page.done(success, "members.show")
            if gone
            else page.done(success, "members.detail", member=member)
        )

    return view


for _action in ACTIONS:
    blp.add_url_rule(
        f"/<member>/{_action.path}",
        _action.endpoint,
        _action_view(_action),
        methods=["GET", "POST"],
    )


def _both(api: Api, org: str, member: str) -> tuple[Any, Any]:
    """The organization and one of its members. Raises Refusal."""
    base = f"/v1/organizations/{org}"
    responses = fetch_all(
        organization=lambda: api.get(base), member=lambda: api.get(f"{base}/members/{member}")
    )
    for response in responses.values():
        if isinstance(refusal := getattr(response, "refusal", None), Refusal):
            raise refusal
    return responses["organization"], responses["member"]


def _manageable_ranks(org: str) -> frozenset[str]:
    at = page.visitor().workspace
    return people.manageable_ranks(
        at.organization["kind"], at.role, at_home=at.organization["id"] == org
    )


def _admits(organization: Any) -> bool:
    at = page.visitor().workspace
    return people.admits_admins(at.organization["kind"], at.role, organization)


def transfers_ownership(organization: Any) -> bool:
    """Whether the signed-in person may transfer the ownership there, if their role may."""
    at = page.visitor().workspace
    return people.transfers_ownership(at.organization["kind"], at.role, organization)


def _can(organization: Any, member: Any = None) -> frozenset[str]:
    """The available operations: on the list, or on this member."""
    may = page.visitor().may
    if member is None:
        operations = frozenset(("member.add",) if organization["status"] in people.EDITABLE else ())
    else:
        operations = people.allowed_operations(
            member,
            organization,
            _manageable_ranks(organization["id"]),
            admits=_admits(organization),
            transfers=transfers_ownership(organization),
            is_own=_is_own(member),
        )
    return frozenset(operation for operation in operations if may(operation))


def _pin(organization: Any, member: Any, what: str) -> ResponseReturnValue:
    """The PIN, shown only in this response."""
    return page.show("member_pin.html", organization=organization, member=member, what=what)
