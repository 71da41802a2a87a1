"""Who may do what to which member."""

import itertools

from chassis.runtime import ids
from contracts import membership as messages
from membership import guard


def test_every_cell_of_the_table(setup):
    """Each operation by each role is refused with 403 exactly where the table has no x."""
    service = setup.service
    callers = {("provider", "owner"): setup.staff, ("customer", "owner"): setup.owner}
    for preset in ("viewer", "support", "billing", "manager"):
        callers["provider", preset] = setup.joined(
            f"{preset}@provider.example", organization_id=setup.provider_id, preset=preset
        )[1]
    for role in ("admin", "member"):
        callers["customer", role] = setup.joined(f"{role}@customer.example", role)[1]
    target = setup.add("target@customer.example").json["id"]
    routes = {
        "member.list": ("GET", ""),
        "member.read": ("GET", f"/{target}"),
        "member.add": ("POST", ""),
        "member.update": ("PATCH", f"/{target}"),
        "member.disable": ("POST", f"/{target}/disable"),
        "member.enable": ("POST", f"/{target}/enable"),
        "member.remove": ("DELETE", f"/{ids.new('mem')}"),
        "member.resend": ("POST", f"/{ids.new('mem')}/resend-verification"),
        "member.reset_password": ("POST", f"/{ids.new('mem')}/reset-password"),
    }
    for (operation, (method, rest)), ((kind, role), token) in itertools.product(
        routes.items(), callers.items()
    ):
        allowed = guard.OPERATIONS.allows(operation, kind=kind, role=role, acting=False)
        body = (
            {"nonsense": 1}
            if method in ("POST", "PATCH") and operation in ("member.add", "member.update")
            else None
        )
        status = setup.call(method, rest, body, token=token).status_code
        assert (status == 403) is not allowed, (operation, kind, role, status)
    denied = [m for m in service.published(messages.AuditRecorded) if m.outcome == "denied"]
    assert denied and {m.reason for m in denied} == {"forbidden"}


def test_an_admin_reaches_members_only(setup):
    _, admin = setup.joined("adam@customer.example", "admin")
    other_id, _ = setup.joined("alma@customer.example", "admin")
    member_id, _ = setup.joined("mia@customer.example")
    owner_id = setup.service.claims(setup.owner)["mid"]
    for target in (other_id, owner_id):
        assert setup.call("PATCH", f"/{target}", {"name": "X"}, token=admin).status_code == 403
        assert setup.call("POST", f"/{target}/disable", token=admin).status_code == 403
        assert setup.call("DELETE", f"/{target}", token=admin).status_code == 403
    assert setup.call("PATCH", f"/{member_id}", {"role": "admin"}, token=admin).status_code == 403
    assert setup.add("new@customer.example", "admin", token=admin).status_code == 403
    assert setup.add("new@customer.example", "member", token=admin).status_code == 201
    assert setup.call("PATCH", f"/{member_id}", {"name": "X"}, token=admin).json["label"] == "X"


def test_staff_cannot_raise_themselves(setup):
    support_id, support = setup.joined(
        "sue@provider.example", organization_id=setup.provider_id, preset="support"
    )
    manager_id, manager = setup.joined(
        "max@provider.example", organization_id=setup.provider_id, preset="manager"
    )
    at_home = {"organization_id": setup.provider_id}
    raised = {"preset": "manager"}
    assert (
        setup.call("PATCH", f"/{support_id}", raised, token=support, **at_home).status_code == 403
    )
    assert (
        setup.add("pal@provider.example", token=support, **at_home, preset="manager").status_code
        == 403
    )
    assert setup.add("pal@provider.example", token=support, **at_home).status_code == 403
    assert (
        setup.call("PATCH", f"/{support_id}", raised, token=manager, **at_home).status_code == 403
    )
    assert setup.add("pal@provider.example", "admin", token=manager, **at_home).status_code == 403
    assert (
        setup.add("pal@provider.example", token=manager, **at_home, preset="billing").status_code
        == 201
    )
    assert setup.add("boss@customer.example", token=support).status_code == 201
    assert setup.add("lead@customer.example", "admin", token=support).status_code == 403
    assert setup.add("lead@customer.example", "admin", token=manager).status_code == 201
    owner_id = setup.service.claims(setup.owner)["mid"]
    assert (
        setup.call(
            "PATCH", f"/{owner_id}", {"email": "evil@customer.example"}, token=support
        ).status_code
        == 403
    )
    assert manager_id


def test_what_is_out_of_reach_is_in_the_audit_once(setup):
    admin_id, admin = setup.joined("ada@customer.example", "admin")
    member_id, _ = setup.joined("mo@customer.example")

    refused = setup.call("PATCH", f"/{member_id}", {"role": "admin"}, token=admin)

    assert refused.status_code == 403
    (row,) = [
        row for row in setup.service.published(messages.AuditRecorded) if row.outcome == "denied"
    ]
    assert (row.action, row.actor["id"]) == ("member.update", setup.service.claims(admin)["sub"])
    assert admin_id


def test_the_providers_admins_are_managers(setup):
    at_home = {"organization_id": setup.provider_id, "token": setup.staff}
    viewer_id, _ = setup.joined(
        "vi@provider.example", organization_id=setup.provider_id, preset="viewer"
    )

    refused = setup.add("pal@provider.example", "admin", **at_home, preset="viewer")
    raised = setup.call("PATCH", f"/{viewer_id}", {"role": "admin"}, **at_home)

    assert refused.status_code == 422 and refused.json["errors"][0]["code"] == "manager_only"
    assert (raised.status_code, raised.json["preset"]) == (200, None)


def test_the_owner_must_transfer_first(setup):
    owner_id = setup.service.claims(setup.owner)["mid"]
    for token in (setup.owner, setup.staff):
        for method, rest, body in (
            ("PATCH", "", {"role": "member"}),
            ("PATCH", "", {"role": "admin"}),
            ("PATCH", "", {"portal_access": False}),
            ("POST", "/disable", None),
            ("DELETE", "", None),
        ):
            answer = setup.call(method, f"/{owner_id}{rest}", body, token=token)
            assert (answer.status_code, answer.json["code"]) == (409, "owner_must_transfer"), (
                rest,
                body,
            )
