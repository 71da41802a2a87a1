"""What others say, and what is answered."""

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


def test_everything_org_says_to_us_is_heard():
    ours = {m for m in every_message() if "membership" in m.CONSUMERS}
    assert ours == set(listeners.LISTENERS)


def test_inviting_twice_is_inviting_once(world):
    organization_id = ids.new("org")
    for _ in range(2):
        world.hear(_invite(organization_id, email="Olga@Customer.Example"))
    assert [m["To"] for m in world.post()] == [OLGA]
    answers = world.said(messages.OwnerInvited)
    assert len(answers) == 2 and answers[0] == answers[1]
    assert answers[0].owner.email == OLGA and not answers[0].owner.verified
    with world.database.reading() as session:
        assert len(session.scalars(select(models.Member)).all()) == 1


def test_the_same_message_carried_twice_is_heard_once(world):
    with world.database.transaction() as session:
        outbox.publish(session, _invite(ids.new("org")))
    with world.database.reading() as session:
        body = session.scalars(select(outbox.OutboxRow.body)).one()
    for _ in range(2):
        world.inbox.receive(body)
    assert len(world.said(messages.OwnerInvited)) == 1
    assert world.inbox.dead_letters() == []


def test_an_address_already_known_is_linked_not_doubled(world):
    world.owner()
    world.customer(OLGA, name="Second")
    with world.database.reading() as session:
        assert len(session.scalars(select(models.Identity)).all()) == 1
    first, second = world.said(messages.OwnerInvited)
    assert first.owner.member_id != second.owner.member_id and not second.owner.verified


def test_an_owner_with_one_name_or_an_odd_address_is_no_poison(world):
    world.hear(
        _invite(ids.new("org"), given_name="Madonna", family_name="", email="odd address@nowhere")
    )
    assert world.said(messages.OwnerInvited)[0].owner.email == "odd address@nowhere"


def test_changes_of_name_are_taken_over(world):
    organization_id, token = world.owner()
    world.hear(
        org.OrganizationChanged(
            organization_id=organization_id,
            provider_id=ids.new("org"),
            name="New Name",
            billing={},
            buyer_tags={},
            managed_by="customer",
        )
    )
    assert world.call("GET", "/v1/me", token=token).json["organization"]["name"] == "New Name"


@pytest.mark.parametrize("suspended", [False, True])
def test_a_deletion_and_a_change_of_mind(world, suspended):
    organization_id, token = world.owner()
    for _ in range(2):
        world.hear(org.EndAccess(organization_id=organization_id, deletion_id="d1"))
    assert world.revoked(token)
    assert [m.deletion_id for m in world.said(messages.AccessEnded)] == ["d1", "d1"]
    for _ in range(2):
        world.hear(
            org.RestoreAccess(
                organization_id=organization_id, conversation_id="c1", suspended=suspended
            )
        )
    assert [m.conversation_id for m in world.said(messages.AccessRestored)] == ["c1", "c1"]
    login = world.call(
        "POST", "/v1/sessions", {"email": OLGA, "password": "four calm otters drift"}
    )
    assert login.status_code == (403 if suspended else 201)
    assert world.revoked(token)


def test_erasing_leaves_nothing_of_those_who_belong_nowhere_else(world):
    first_id, token = world.owner()
    world.call(
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
    world.call(
        "POST",
        f"/v1/organizations/{first_id}/members",
        {"name": "Desk Private", "portal_access": False},
        token=token,
    )
    second_id, _ = world.owner(OLGA, name="Second")
    world.hear(org.EndAccess(organization_id=first_id, deletion_id="d"))
    for _ in range(2):
        world.hear(org.EraseMembers(organization_id=first_id, deletion_id="d"))
    assert len(world.said(messages.MembersErased)) == 2
    with world.database.reading() as session:
        left = "".join(
            str(row)
            for table in models.Base.metadata.sorted_tables
            for row in session.execute(select(table))
        )
    assert "mia@" not in left and "Private" not in left
    assert world.log_in(OLGA)["organization"]["id"] == second_id
    named = world.call(
        "POST",
        "/v1/sessions",
        {"email": OLGA, "password": "four calm otters drift", "organization_id": first_id},
    )
    assert named.status_code == 401
    world.hear(org.EraseMembers(organization_id=second_id, deletion_id="d2"))
    with world.database.reading() as session:
        people = session.scalars(select(models.Identity)).all()
    assert {(p.status, p.email, p.password_hash, p.given_name) for p in people} == {
        ("erased", None, None, "")
    }
    assert (
        world.call(
            "POST", "/v1/sessions", {"email": OLGA, "password": "four calm otters drift"}
        ).status_code
        == 401
    )


def test_settings_are_kept_and_confirmed_and_older_ones_change_nothing(world):
    provider_id = ids.new("org")
    world.hear(
        org.SettingsChanged(provider_id=provider_id, version=2, settings={"managed_service": True})
    )
    world.hear(
        org.SettingsChanged(provider_id=provider_id, version=1, settings={"managed_service": False})
    )
    assert [m.version for m in world.said(messages.SettingsApplied)] == [2, 2]
    with world.database.reading() as session:
        kept = session.get_one(models.ProviderSettings, provider_id)
    assert kept.version == 2 and kept.settings == {"managed_service": True}


def test_what_is_said_names_its_cause(world):
    world.hear(_invite(ids.new("org")))
    with world.database.reading() as session:
        bodies = [json.loads(b) for b in session.scalars(select(outbox.OutboxRow.body))]
    assert bodies and all(b["causationid"] and b["correlationid"] for b in bodies)
