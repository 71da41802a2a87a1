"""The list of members, and whose members can be seen."""

from chassis.runtime import ids
from contracts import membership as messages
from membership import models
from sqlalchemy import select


def test_the_list(setup):
    for name in ("Zoë", "ann", "Bob"):
        setup.call("POST", "", {"name": name, "portal_access": False})
    setup.add("ann.lee@customer.example", "admin", name="Ann Lee")

    def names(query=""):
        answer = setup.call("GET", f"?{query}")
        assert answer.status_code == 200, answer.text
        return [m["name"] for m in answer.json["data"]]

    assert names() == ["ann", "Ann Lee", "Bob", "Olga Owner", "Zoë"]
    assert (
        names("q=ANN") == ["ann", "Ann Lee"] and names("q=zOË") == ["Zoë"] and names("q=%25") == []
    )
    assert names("q=lee@") == ["Ann Lee"] and names("role=admin") == ["Ann Lee"]
    assert names("portal_access=false") == ["ann", "Bob", "Zoë"] and names("status=pending") == [
        "Ann Lee"
    ]
    seen, cursor = [], ""
    while True:
        page = setup.call("GET", f"?limit=2{cursor}").json
        seen += [m["name"] for m in page["data"]]
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == names()
    assert setup.call("GET", f"?limit=2&role=member{cursor}").status_code == 422
    for bad in (
        "limit=0",
        "limit=x",
        "role=king",
        "status=gone",
        "portal_access=perhaps",
        "sort=name",
    ):
        assert setup.call("GET", f"?{bad}").status_code == 422


def test_another_tenants_people_do_not_exist(setup):
    other_id, other = setup.service.owner(
        "sam@other.example", name="Other", provider_id=ids.new("org")
    )
    stranger = setup.service.call("GET", f"/v1/organizations/{other_id}/members", token=other).json[
        "data"
    ][0]["id"]
    for token in (setup.owner, setup.staff):
        assert setup.call("GET", "", token=token, organization_id=other_id).status_code == 404
        assert setup.call("POST", "", {}, token=token, organization_id=other_id).status_code == 404
    for bad in (stranger, "mem_x", ids.new("mem"), ids.new("org"), "x" * 300):
        for method, rest in (
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("POST", "/disable"),
            ("POST", "/enable"),
        ):
            body = {} if method == "PATCH" else None
            assert setup.call(method, f"/{bad}{rest}", body).status_code == 404


def test_numbers_told_to_others_are_right_after_any_change(setup):
    service = setup.service
    setup.joined("adam@customer.example", "admin")
    member_id = setup.add("mia@customer.example").json["id"]
    setup.call("POST", f"/{member_id}/disable")
    published = service.published(messages.MembersChanged)[-1]
    assert (published.members, published.admins) == (3, 1)
    owner_id = service.claims(setup.owner)["mid"]
    setup.call("PATCH", f"/{owner_id}", {"given_name": "Olga Maria"})
    assert service.published(messages.MembersChanged)[-1].owner.given_name == "Olga Maria"
    with service.database.reading() as session:
        rows = session.scalars(
            select(models.Member).where(models.Member.organization_id == published.organization_id)
        ).all()
    assert len(rows) == 3
