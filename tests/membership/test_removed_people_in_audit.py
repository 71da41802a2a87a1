"""The audit log does not name a person who was erased, and its chain stays whole."""

import pytest
from chassis import audit
from chassis.audit import AuditEntry
from contracts import membership as messages
from membership import jobs, models
from sqlalchemy import select, update

from tests.membership.test_leaving import leave
from tests.membership.test_removal import MIA, joined, stored

OLGA, NEW, GONE = "olga@customer.example", "mia@new.example", "Removed person"


class Scene:
    """Acme with its owner Olga, and Mia, who has another name and address now than at first."""

    def __init__(self, service):
        self.service = service
        self.staff = service.provider()
        self.provider_id = service.claims(self.staff)["org"]
        self.acme, self.owner = service.owner(OLGA, provider_id=self.provider_id)
        self.path = joined(service, self.acme, self.owner)
        self.member_id = self.path.rpartition("/")[2]
        self.change(name="The boss")
        self.change(email=NEW)
        service.accept(NEW)
        self.change(role="admin")
        self.mia = service.log_in(NEW, organization_id=self.acme)["access_token"]
        self.identity_id = service.claims(self.mia)["sub"]

    def change(self, **fields):
        etag = self.service.call("GET", self.path, token=self.owner).headers["ETag"]
        changed = self.service.call(
            "PATCH", self.path, fields, token=self.owner, headers={"If-Match": etag}
        )
        assert changed.status_code == 200, changed.text

    def remove(self, path=None, token=None):
        removed = self.service.call("DELETE", path or self.path, token=token or self.owner)
        assert removed.status_code == 204, removed.text

    def rows(self, organization_id=None):
        """The rows of a chain, which is whole."""
        organization_id = organization_id or self.acme
        with self.service.database.reading(snapshot=True) as session:
            assert list(audit.verify(session, organization_id)) == []
            of_it = select(AuditEntry).where(AuditEntry.organization_id == organization_id)
            return list(session.scalars(of_it.order_by(AuditEntry.number)))

    def named(self, organization_id=None):
        """What of Mia is in the rows."""
        text = repr([vars(row) for row in self.rows(organization_id)])
        return {name for name in ("Mia", "The boss", MIA, NEW) if name in text}

    def run_jobs(self):
        now = self.service.clock.now()
        while jobs.delete_expired(self.service.database, now, None):
            pass
        while jobs.erase_people(self.service.database, now, None):
            pass


@pytest.fixture
def scene(service):
    return service.prepared("removed_people", lambda: Scene(service))


def test_a_removed_person_is_not_named_any_more(scene):
    assert scene.named() == {"Mia", "The boss", MIA, NEW}
    hashes = [row.hash for row in scene.rows()]

    scene.remove()

    rows = scene.rows()
    assert scene.named() == set()
    assert [row.hash for row in rows][: len(hashes)] == hashes
    assert {row.target["label"] for row in rows if row.target["id"] == scene.member_id} == {GONE}
    changes = {change["field"]: change for row in rows for change in row.changes}
    assert changes["role"] == {"field": "role", "before": "member", "after": "admin"}
    assert changes["email"]["before"] == changes["email"]["after"] == GONE
    assert rows[-1].action == "member.removed" and "Olga" in rows[-1].actor["label"]
    last = scene.service.published(messages.AuditRecorded)[-1]
    assert (last.action, last.target["label"], last.hash) == ("member.removed", GONE, rows[-1].hash)
    published = {id_ for m in scene.service.published(messages.PeopleErased) for id_ in m.people}
    assert {scene.member_id, scene.identity_id} <= published


def test_who_leaves_is_not_named_any_more(scene):
    scene.service.call("POST", f"{scene.path}/disable", token=scene.mia)  # denied, with a row
    assert leave(scene.service, scene.mia, scene.acme) == (204, None)

    assert scene.named() == set()
    last = scene.rows()[-1]
    assert (last.action, last.actor["label"], last.target["label"]) == ("member.left", GONE, GONE)
    assert NEW not in repr(scene.service.published(messages.AuditRecorded)[-1])


def test_who_belongs_elsewhere_is_named_until_they_leave_there_too(scene):
    second, sam = scene.service.owner(
        "sam@second.example", provider_id=scene.provider_id, name="Second"
    )
    body = {"name": "Mia", "portal_access": True, "role": "member", "email": NEW}
    path = f"/v1/organizations/{second}/members"
    member_id = scene.service.call("POST", path, body, token=sam).json["id"]
    scene.service.accept(NEW)

    scene.remove()
    scene.run_jobs()

    assert scene.named() == {"Mia", "The boss", MIA, NEW}

    scene.remove(f"{path}/{member_id}", sam)
    scene.run_jobs()

    assert (scene.named(), scene.named(second)) == (set(), set())


def test_a_former_owner_is_not_named_and_reasons_stay(scene):
    service, base = scene.service, f"/v1/organizations/{scene.acme}"
    members = service.call("GET", f"{base}/members", token=scene.owner).json["data"]
    olga = next(member["id"] for member in members if member["email"] == OLGA)
    body = {"member_id": scene.member_id, "reason": "Olga retires"}
    moved = service.call("POST", f"{base}/ownership-transfers", body, token=scene.staff)
    assert (moved.status_code, moved.json["status"]) == (201, "completed"), moved.text

    scene.remove(f"{base}/members/{olga}", service.log_in(NEW)["access_token"])

    [row] = [row for row in scene.rows() if row.action == "ownership.transferred"]
    assert row.changes == [{"field": "owner", "before": olga, "after": scene.member_id}]
    assert (row.target["id"], row.reason) == (scene.member_id, "Olga retires")
    assert row.target["label"] != GONE
    text = repr([(row.actor, row.target, row.changes) for row in scene.rows()])
    assert "Olga" not in text and OLGA not in text


def test_who_loses_only_the_login_is_named_until_they_are_removed(scene):
    scene.change(portal_access=False)

    assert NEW not in stored(scene.service, models.Identity.email)
    assert "The boss" in scene.named()

    scene.remove()

    assert scene.named() == set()


def test_a_large_number_of_rows_is_finished_by_the_job(scene, monkeypatch):
    monkeypatch.setattr(audit.people, "MAX_BATCH", 2)

    scene.remove()
    assert scene.named() != set()
    scene.run_jobs()

    assert scene.named() == set()


def test_a_row_that_a_token_from_before_causes_is_found_by_the_job(scene):
    scene.remove()
    path = f"/v1/organizations/{scene.acme}/ownership-transfers"
    body = {"member_id": scene.member_id, "reason": "Mine"}
    denied = scene.service.call("POST", path, body, token=scene.mia)
    assert denied.status_code == 403
    assert scene.named() != set()

    scene.run_jobs()

    assert scene.named() == set()
    with scene.service.database.transaction() as session:
        now = scene.service.clock.now() + audit.people.WATCHED_FOR
        assert audit.erase_more(session, now=now) == 0
        assert not session.scalar(select(audit.ErasedPerson.id).where(audit.ErasedPerson.watched))


def test_people_who_were_erased_before_are_found_again(scene):
    scene.remove()
    with scene.service.database.reading() as session:
        erased = select(models.Member.status).where(models.Member.id == scene.member_id)
        assert session.scalar(erased) == "erased"
    with scene.service.database.transaction() as session:  # what migration 0018 does
        session.execute(
            update(models.Member)
            .where(models.Member.id == scene.member_id)
            .values(status="removed")
        )
    before = len(scene.service.published(messages.PeopleErased))

    scene.run_jobs()

    again = scene.service.published(messages.PeopleErased)[before:]
    assert [sorted(message.people) for message in again] == [
        sorted([scene.member_id, scene.identity_id])
    ]
