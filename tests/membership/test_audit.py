"""The audit log: erased people and denied operations."""

from chassis import audit
from chassis.audit import AuditEntry
from chassis.runtime import ids
from contracts import membership as messages
from contracts import org
from sqlalchemy import select

OLGA = "olga@customer.example"


def _rows(service, organization_id):
    with service.database.reading(snapshot=True) as session:
        assert list(audit.verify(session, organization_id)) == []
        wanted = (
            select(AuditEntry)
            .where(AuditEntry.organization_id == organization_id)
            .order_by(AuditEntry.number)
        )
        return list(session.scalars(wanted))


def _add(service, organization_id, token):
    body = {"name": "Max Muster", "portal_access": True, "role": "member", "email": "max@x.example"}
    return service.call("POST", f"/v1/organizations/{organization_id}/members", body, token=token)


def test_the_audit_log_names_nobody_after_erasure(service):
    organization_id, token = service.owner(OLGA)
    assert _add(service, organization_id, token).status_code == 201
    before = _rows(service, organization_id)
    assert "Max Muster" in repr([vars(row) for row in before])

    service.receive(org.EraseMembers(organization_id=organization_id, deletion_id=ids.new("del")))

    after = _rows(service, organization_id)
    assert [row.hash for row in after][: len(before)] == [row.hash for row in before]
    kept = repr([vars(row) for row in after])
    assert not [name for name in ("Max", "max@", "Olga", "olga@") if name in kept]
    assert all(row.erased for row in after)


def test_a_denial_has_its_request_id_and_is_recorded_once(service):
    organization_id, token = service.owner(OLGA)
    assert _add(service, organization_id, token).status_code == 201
    service.accept("max@x.example")
    theirs = service.log_in("max@x.example", organization_id=organization_id)["access_token"]

    answers = [_add(service, organization_id, theirs) for _ in range(4)]

    assert {answer.status_code for answer in answers} == {403}
    denied = [m for m in service.published(messages.AuditRecorded) if m.outcome == "denied"]
    assert [(m.action, m.request_id) for m in denied] == [
        ("member.add", answers[0].headers["X-Request-Id"])
    ]


def test_the_address_of_a_login_and_of_a_change_is_in_their_entries(service):
    organization_id, token = service.owner(OLGA)
    headers = {"X-Forwarded-For": "192.0.2.7"}
    body = {"email": OLGA, "password": "four calm otters drift"}
    assert service.client.post("/v1/sessions", json=body, headers=headers).status_code == 201
    added = service.client.post(
        f"/v1/organizations/{organization_id}/members",
        json={"name": "Max Muster", "portal_access": False},
        headers={**headers, "Authorization": f"Bearer {token}"},
    )
    assert added.status_code == 201, added.text

    rows = service.published(messages.AuditRecorded)

    addressed = {
        (row.action, row.actor["kind"], row.client_organization_id)
        for row in rows
        if row.client_address == "192.0.2.7"
    }
    assert addressed == {
        ("member.login", "member", None),
        ("member.added", "member", organization_id),
    }
