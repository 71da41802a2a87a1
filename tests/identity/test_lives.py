"""Any order of joining, leaving, raising, transferring, suspending and acting for somebody: there
is exactly one owner, nobody comes in whose access has ended, everybody else does, and the audit has
a row for each accepted change."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from chassis import audit
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies import data, sampled_from
from membership.models import Member
from sqlalchemy import func, select

from tests.identity import lives
from tests.identity.lives import MANAGER, SUPPORT, Grant, Pass, Person
from tests.identity.system import PASSWORD, Snapshot, System
from tests.identity.world import World

NAMES = ("ben", "cleo", "dora")
EXAMPLES = int(
    os.environ.get("LIVES_EXAMPLES", "0")
)  # random ones, instead of the few that are always the same
HERE = ("pending", "active", "disabled")
WORLD: dict[str, Any] = {}


class Machine(RuleBasedStateMachine):
    """Every rule does one thing through the gateway and says beforehand what must come of it."""

    def __init__(self) -> None:
        super().__init__()
        WORLD["snapshot"].restore()
        self.world: World = WORLD["world"]
        self.system: System = self.world.system
        self.system.renew_gateway()
        self.lives = lives.again(self.world, WORLD["begun"])

    def pick(self, data: Any, *, login: bool = False) -> Person:
        here = [
            p
            for p in self.lives.people.values()
            if p.is_here and (p.status == "active" or not login)
        ]
        return data.draw(sampled_from(here), label="person")

    def judge(self, answer: Any, *accepted: bool) -> bool:
        """Whether it was accepted, which it must be exactly when all of these hold."""
        assert (answer.status_code < 300) == all(accepted), (
            answer.status_code,
            answer.text,
            accepted,
        )
        return all(accepted)

    # ---- joining and leaving

    @rule(name=sampled_from(NAMES), role=sampled_from(("admin", "member")))
    def add(self, name: str, role: str) -> None:
        known = self.lives.people.get(name)
        if known is None or not known.is_here:
            self.judge(lives.add(self.lives, name, role), self.lives.editable)

    @rule(data=data())
    def accept(self, data: Any) -> None:
        waiting = [p for p in self.lives.people.values() if p.status == "pending"]
        if waiting and self.lives.status == "active":
            self.judge(lives.accept(self.world, data.draw(sampled_from(waiting))), True)

    @rule(data=data(), what=sampled_from(("disable", "enable", "remove")))
    def change(self, data: Any, what: str) -> None:
        person, owned = self.pick(data), self.lives.editable
        path = f"/members/{person.member_id}"
        past = {"disable": "disabled", "enable": "enabled", "remove": "removed"}[what]
        changes = what != {"disabled": "disable"}.get(person.status, "enable")
        call = ("DELETE", path) if what == "remove" else ("POST", f"{path}/{what}")
        answer = self.lives.by_staff(*call, action=f"member.{past}" if changes else "")
        if not self.judge(answer, owned, person.role != "owner" or what == "enable") or not changes:
            return
        person.status = {"disable": "disabled", "remove": "removed"}.get(
            what, "active" if person.proved else "pending"
        )
        if what != "enable":
            self.lives.end_passes(of=person.name)

    @rule(data=data(), role=sampled_from(("admin", "member")))
    def give_role(self, data: Any, role: str) -> None:
        person = self.pick(data)
        changes = person.role != role
        answer = self.lives.by_staff(
            "PATCH",
            f"/members/{person.member_id}",
            {"role": role},
            action="member.updated" if changes else "",
        )
        if self.judge(answer, self.lives.editable, person.role != "owner") and changes:
            person.role = role
            self.lives.end_passes(of=person.name)

    # ---- coming in

    @rule(data=data())
    def log_in(self, data: Any) -> None:
        person = data.draw(sampled_from(list(self.lives.people.values())), label="person")
        body = {
            "email": person.address,
            "password": PASSWORD,
            "organization_id": self.lives.organization_id,
        }
        answer = self.lives.ask("POST", "/v1/sessions", body, token="", action="member.login")
        if self.judge(answer, person.status == "active", self.lives.status == "active"):
            assert answer.json["role"] == person.role
            session_id = self.world.claims(answer.json)["sid"]
            self.lives.passes.append(Pass(answer.json["access_token"], person.name, session_id))

    @rule(data=data())
    def sign_out(self, data: Any) -> None:
        good = [p for p in self.lives.passes if p.good]
        if good:
            gone = data.draw(sampled_from(good), label="pass")
            self.judge(self.lives.ask("DELETE", "/v1/sessions/current", token=gone.token), True)
            gone.good = False

    @rule(who=sampled_from((MANAGER, SUPPORT)))
    def staff_sign_out(self, who: str) -> None:
        own = self.lives.staff[who]
        self.judge(self.lives.ask("DELETE", "/v1/sessions/current", token=own.token), True)
        for one in self.lives.passes:
            one.good = one.good and one.parent is not own
        self.lives.staff[who] = lives.log_in_staff(self.world, who)

    # ---- ownership

    @rule(data=data())
    def transfer(self, data: Any) -> None:
        person, former = self.pick(data), self.lives.owner
        body = {"member_id": person.member_id, "reason": "a test"}
        answer = self.lives.by_staff(
            "POST", "/ownership-transfers", body, action="ownership.transferred"
        )
        if self.judge(answer, self.lives.editable, person.status == "active", person is not former):
            self.lives.offer = None
            self.lives.last_transfer = (answer.json["id"], former.name, person.name, person.role)
            self.hand_over(former, person, "admin")

    @rule()
    def undo(self) -> None:
        if self.lives.last_transfer is None:
            return
        transfer_id, former, holder, role = self.lives.last_transfer
        back = self.lives.people[former]
        answer = self.lives.by_staff(
            "DELETE", f"/ownership-transfers/{transfer_id}", action="ownership.undone"
        )
        if self.judge(
            answer, self.lives.editable, self.lives.owner.name == holder, back.status == "active"
        ):
            self.lives.offer = self.lives.last_transfer = None
            self.hand_over(self.lives.people[holder], back, role)

    @rule(data=data())
    def offer(self, data: Any) -> None:
        person, former = self.pick(data), self.lives.owner
        mine = [p for p in self.lives.passes if p.good and p.of == former.name and not p.via]
        if not mine:
            return
        answer = self.lives.ask(
            "POST",
            f"{self.lives.path}/ownership-transfers",
            {"member_id": person.member_id, "reason": "a test"},
            token=mine[0].token,
            action="ownership.offered",
        )
        if self.judge(
            answer, person.status == "active", person is not former, self.lives.offer is None
        ):
            self.lives.offer = (answer.json["id"], person.name)

    @rule(data=data())
    def take(self, data: Any) -> None:
        """The one it was offered to accepts; somebody else may not."""
        able = [p for p in self.lives.passes if p.good and not p.via]
        if self.lives.offer is None or not able:
            return
        transfer_id, target = self.lives.offer
        by = data.draw(sampled_from(able), label="pass")
        answer = self.lives.ask(
            "POST",
            f"{self.lives.path}/ownership-transfers/{transfer_id}/accept",
            {},
            token=by.token,
            action="ownership.accepted",
        )
        if self.judge(answer, by.of == target):
            self.lives.offer = self.lives.last_transfer = None
            self.hand_over(self.lives.owner, self.lives.people[target], "admin")

    def hand_over(self, giver: Person, taker: Person, role: str) -> None:
        giver.role, taker.role = role, "owner"
        self.lives.end_passes(of=giver.name)
        self.lives.end_passes(of=taker.name)

    # ---- the organization

    @rule(data=data())
    def suspend(self, data: Any) -> None:
        changes = self.lives.status == "active"
        answer = self.lives.by_staff(
            "POST",
            "/suspend",
            {"reason": "a test"},
            action="organization.suspended" if changes else "",
        )
        if self.judge(answer, self.lives.editable) and changes:
            self.shut("suspended")

    @rule()
    def delete(self) -> None:
        changes = self.lives.editable
        answer = self.lives.by_staff("DELETE", "", action="deletion.requested" if changes else "")
        assert answer.status_code == 202
        if changes:
            self.before = self.lives.status
            self.shut("suspended_for_deletion")
            self.lives.offer = None

    @precondition(lambda self: self.lives.status != "active")
    @rule()
    def activate(self) -> None:
        answer = self.lives.by_staff("POST", "/activate", {})
        self.judge(answer, True)
        deleting = self.lives.status == "suspended_for_deletion"
        self.lives.status = self.before if deleting else "active"

    def shut(self, status: str) -> None:
        self.lives.status = status
        self.lives.end_passes(everybody=True)
        for grant in self.lives.grants:
            grant.live = False

    # ---- acting for somebody

    @rule(data=data())
    def log_in_as(self, data: Any) -> None:
        person = self.pick(data)
        answer = self.lives.by_staff(
            "POST",
            f"/members/{person.member_id}/login-as",
            {"reason": "a test"},
            action="member.login_as.started",
        )
        free = self.lives.live_acting(MANAGER) is None
        if answer.status_code == 429:
            return
        if self.judge(answer, self.lives.status == "active", person.status == "active", free):
            self.act(answer, MANAGER, person.name)

    @rule()
    def ask_leave(self) -> None:
        answer = self.lives.by_staff(
            "POST", "/remote-support", {"reason": "a test"}, who=SUPPORT, action="support.requested"
        )
        if self.judge(answer, self.lives.status == "active"):
            self.lives.grants.append(Grant(answer.json["id"]))

    @rule(data=data())
    def enter(self, data: Any) -> None:
        if not self.lives.grants:
            return
        grant = data.draw(sampled_from(self.lives.grants), label="grant")
        answer = self.lives.by_staff(
            "POST", f"/remote-support/{grant.id}/enter", {}, who=SUPPORT, action="support.entered"
        )
        free = self.lives.live_acting(SUPPORT) is None
        if self.judge(answer, self.lives.status == "active", grant.live, free):
            self.act(answer, SUPPORT, grant.id)

    @rule(data=data())
    def end_leave(self, data: Any) -> None:
        live = [grant for grant in self.lives.grants if grant.live]
        if live:
            grant = data.draw(sampled_from(live), label="grant")
            self.judge(
                self.lives.by_staff(
                    "DELETE", f"/remote-support/{grant.id}", action="support.ended"
                ),
                True,
            )
            grant.live = False
            self.lives.end_passes(via=grant.id)

    def act(self, answer: Any, staff: str, via: str) -> None:
        claims = self.world.claims(answer.json)
        self.lives.passes.append(
            Pass(
                answer.json["access_token"],
                staff,
                claims["sid"],
                via=via,
                parent=self.lives.staff[staff],
            )
        )

    # ---- what must always hold

    @invariant()
    def there_is_one_owner(self) -> None:
        with self.system.databases["membership"].reading() as session:
            owners = session.scalars(
                select(Member.id).where(
                    Member.organization_id == self.lives.organization_id,
                    Member.role == "owner",
                    Member.status.in_(HERE),
                )
            ).all()
        assert owners == [self.lives.owner.member_id]
        shown = self.lives.by_staff("GET", "").json
        assert shown["owner"]["member_id"] == self.lives.owner.member_id
        assert shown["status"] == self.lives.status

    @invariant()
    def who_may_come_in_does_and_nobody_else(self) -> None:
        for one in self.lives.passes:
            answer = self.system.call("GET", "/v1/me", token=one.token)
            assert answer.status_code == (200 if one.good else 401), (one, answer.text)

    @invariant()
    def nobody_counts_a_supporter(self) -> None:
        members = self.lives.by_staff("GET", "/members?limit=200").json["data"]
        assert {m["id"]: (m["role"], m["status"]) for m in members} == {
            p.member_id: (p.role, p.status) for p in self.lives.people.values() if p.is_here
        }

    def teardown(self) -> None:
        rows, cursor = [], ""
        while True:
            page = self.lives.by_staff("GET", f"/audit?limit=200{cursor}").json
            rows += page["data"]
            if not page["has_more"]:
                break
            cursor = f"&cursor={page['next_cursor']}"
        for told in self.lives.told:
            assert any(
                r["request_id"] == told.request_id and r["action"] == told.action for r in rows
            ), told
        assert [r for r in rows if not r["request_id"]] == []
        for name, database in self.system.databases.items():
            with database.reading() as session:
                written = session.scalar(
                    select(func.count())
                    .select_from(audit.AuditEntry)
                    .where(audit.AuditEntry.organization_id == self.lives.organization_id)
                )
                assert written == sum(r["service"] == name for r in rows)
                assert list(audit.verify(session, self.lives.organization_id)) == []


@pytest.fixture(scope="module")
def ground(world: World) -> Iterator[None]:
    """The world to begin from each time, and to leave as it was."""
    before = Snapshot(world.system)
    WORLD.update(world=world, begun=lives.begin(world), snapshot=Snapshot(world.system))
    yield
    before.restore()
    world.system.renew_gateway()
    before.close()
    WORLD["snapshot"].close()
    WORLD.clear()


@pytest.mark.timeout(1200)
def test_lives(ground: None, request: pytest.FixtureRequest) -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES or 5,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=not EXAMPLES,
            database=None,
            print_blob=True,
        ),
    )
