"""Messages from other services, and the responses."""

import json

import pytest
from chassis.messaging import outbox
from chassis.runtime import ids
from contracts import membership as messages
from contracts import org
from contracts.message import every_message
from membership import listeners, models
from sqlalchemy import select

pytestmark = pytest.mark.both_databases

OLGA = "olga@customer.example"


def _invite(organization_id, **more):
    return org.InviteOwner(
        **{
            "organization_id": organization_id,
            "provider_id": ids.new("org"),
            "name": "Acme Ltd",
            "given_name": "Olga",
            "family_name": "Owner",
            "email": OLGA,
            "managed_by": "provider",
            **more,
        }
    )


def test_every_message_from_org_has_a_listener():
    ours = {m for m in every_message() if "membership" in m.CONSUMERS}
    assert ours == set(listeners.LISTENERS)


def test_a_repeated_invitation_is_sent_once(service):
    organization_id = ids.new("org")
    for _ in range(2):
        service.receive(_invite(organization_id, email="Olga@Customer.Example"))
    assert [m["To"] for m in service.send_mails()] == [OLGA]
    answers = service.published(messages.OwnerInvited)
    assert len(answers) == 2 and answers[0] == answers[1]
    assert answers[0].owner.email == OLGA and not answers[0].owner.verified
    with service.database.reading() as session:
        assert len(session.scalars(select(models.Member)).all()) == 1


def test_a_message_delivered_twice_is_handled_once(service):
    with service.database.transaction() as session:
        outbox.publish(session, _invite(ids.new("org")))
    with service.database.reading() as session:
        body = session.scalars(select(outbox.OutboxRow.body)).one()
    for _ in range(2):
        service.inbox.receive(body, published_by="org")
    assert len(service.published(messages.OwnerInvited)) == 1
    assert service.inbox.dead_letters() == []


def test_a_known_address_is_linked_to_its_identity(service):
    service.owner()
    service.customer(OLGA, name="Second")
    with service.database.reading() as session:
        assert len(session.scalars(select(models.Identity)).all()) == 1
    first, second = service.published(messages.OwnerInvited)
    assert first.owner.member_id != second.owner.member_id and not second.owner.verified


def test_an_owner_with_one_name_or_an_unusual_address_is_handled(service):
    service.receive(
        _invite(ids.new("org"), given_name="Madonna", family_name="", email="odd address@nowhere")
    )
    assert service.published(messages.OwnerInvited)[0].owner.email == "odd address@nowhere"


def test_membership_confirms_a_suspension_also_if_it_was_applied_before(service):
    organization_id, _ = service.owner()
    suspension = org.SuspendAccess(organization_id=organization_id, conversation_id="c1")

    service.receive(suspension)
    service.receive(suspension)

    confirmed = messages.AccessSuspended(organization_id=organization_id, conversation_id="c1")
    assert service.published(messages.AccessSuspended) == [confirmed] * 2
    with service.database.reading() as session:
        assert session.get_one(models.Organization, organization_id).state == "suspended"


def test_name_changes_are_applied(service):
    organization_id, token = service.owner()
    service.receive(
        org.OrganizationChanged(
            organization_id=organization_id,
            provider_id=ids.new("org"),
            name="New Name",
            billing={},
            buyer_tags={},
            managed_by="customer",
        )
    )
    assert service.call("GET", "/v1/me", token=token).json["organization"]["name"] == "New Name"


@pytest.mark.parametrize("suspended", [False, True])
def test_a_deletion_and_its_cancellation(service, suspended):
    organization_id, token = service.owner()
    for _ in range(2):
        service.receive(org.EndAccess(organization_id=organization_id, deletion_id="d1"))
    assert service.is_revoked(token)
    assert [m.deletion_id for m in service.published(messages.AccessEnded)] == ["d1", "d1"]
    for _ in range(2):
        service.receive(
            org.RestoreAccess(
                organization_id=organization_id, conversation_id="c1", suspended=suspended
            )
        )
    assert [m.conversation_id for m in service.published(messages.AccessRestored)] == ["c1", "c1"]
    login = service.call(
        "POST", "/v1/sessions", {"email": OLGA, "password": "four calm otters drift"}
    )
    assert login.status_code == (403 if suspended else 201)
    assert service.is_revoked(token)


def test_erasure_deletes_people_who_are_members_nowhere_else(service):
    first_id, token = service.owner()
    service.call(
        "POST",
        f"/v1/organizations/{first_id}/members",
        {
            "name": "Mia Private",
            "portal_access": True,
            "role": "member",
            "email": "mia@customer.example",
        },
        token=token,
    )
    service.call(
        "POST",
        f"/v1/organizations/{first_id}/members",
        {"name": "Desk Private", "portal_access": False},
        token=token,
    )
    second_id, _ = service.owner(OLGA, name="Second")
    service.receive(org.EndAccess(organization_id=first_id, deletion_id="d"))
    for _ in range(2):
        service.receive(org.EraseMembers(organization_id=first_id, deletion_id="d"))
    assert len(service.published(messages.MembersErased)) == 2
    with service.database.reading() as session:
        left = "".join(
            str(row)
            for table in models.Base.metadata.sorted_tables
            for row in session.execute(select(table))
        )
    assert "mia@" not in left and "Private" not in left
    assert service.log_in(OLGA)["organization"]["id"] == second_id
    named = service.call(
        "POST",
        "/v1/sessions",
        {"email": OLGA, "password": "four calm otters drift", "organization_id": first_id},
    )
    assert named.status_code == 401
    service.receive(org.EraseMembers(organization_id=second_id, deletion_id="d2"))
    with service.database.reading() as session:
        people = session.scalars(select(models.Identity)).all()
    assert {(p.status, p.email, p.password_hash, p.given_name) for p in people} == {
        ("erased", None, None, "")
    }
    assert (
        service.call(
            "POST", "/v1/sessions", {"email": OLGA, "password": "four calm otters drift"}
        ).status_code
        == 401
    )


def test_settings_are_stored_and_confirmed_and_older_ones_ignored(service):
    provider_id = service.claims(service.provider())["org"]
    sent = {"managed_service": True, "company": {"name": "Lantern", "logo": "large"}}
    service.receive(org.SettingsChanged(provider_id=provider_id, version=2, settings=sent))
    service.receive(
        org.SettingsChanged(provider_id=provider_id, version=1, settings={"managed_service": False})
    )
    assert [m.version for m in service.published(messages.SettingsApplied)] == [2, 2]
    with service.database.reading() as session:
        kept = session.get_one(models.ProviderSettings, provider_id)
    assert kept.version == 2 and kept.settings == {"managed_service": True}


def test_published_messages_name_their_cause(service):
    service.receive(_invite(ids.new("org")))
    with service.database.reading() as session:
        bodies = [json.loads(b) for b in session.scalars(select(outbox.OutboxRow.body))]
    assert bodies and all(b["causationid"] and b["correlationid"] for b in bodies)
