"""Any order of joining, leaving, role changes, transfers, suspensions and support sessions:
there is exactly one owner, only members with access can log in, and the audit log has a record
of each accepted change."""

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

from tests.identity import lifecycle
from tests.identity.lifecycle import MANAGER, SUPPORT, Grant, IssuedToken, Person
from tests.identity.system import PASSWORD, Snapshot, System
from tests.identity.world import World

NAMES = ("ben", "cleo", "dora")
EXAMPLES = int(
    os.environ.get("LIVES_EXAMPLES", "0")
)  # random ones, instead of the few that are always the same
CURRENT_STATUSES = ("pending", "active", "disabled")
WORLD: dict[str, Any] = {}


class Machine(RuleBasedStateMachine):
    """Every rule does one thing through the gateway and knows the expected result."""

    def __init__(self) -> None:
        super().__init__()
        WORLD["snapshot"].restore()
        self.world: World = WORLD["world"]
        self.system: System = self.world.system
        self.system.renew_gateway()
        self.lifecycle = lifecycle.restored(self.world, WORLD["begun"])

    def pick(self, data: Any, *, login: bool = False) -> Person:
        here = [
            p
            for p in self.lifecycle.people.values()
            if p.is_current and (p.status == "active" or not login)
        ]
        return data.draw(sampled_from(here), label="person")

    def check(self, answer: Any, *accepted: bool) -> bool:
        """Whether the request was accepted; it must be exactly if all of these conditions hold."""
        assert (answer.status_code < 300) == all(accepted), (
            answer.status_code,
            answer.text,
            accepted,
        )
        return all(accepted)

    # ---- joining and leaving

    @rule(name=sampled_from(NAMES), role=sampled_from(("admin", "member")))
    def add(self, name: str, role: str) -> None:
        known = self.lifecycle.people.get(name)
        if known is None or not known.is_current:
            self.check(lifecycle.add(self.lifecycle, name, role), self.lifecycle.editable)

    @rule(data=data())
    def accept(self, data: Any) -> None:
        waiting = [p for p in self.lifecycle.people.values() if p.status == "pending"]
        if waiting and self.lifecycle.status == "active":
            self.check(lifecycle.accept(self.world, data.draw(sampled_from(waiting))), True)

    @rule(data=data(), what=sampled_from(("disable", "enable", "remove")))
    def change(self, data: Any, what: str) -> None:
        person, owned = self.pick(data), self.lifecycle.editable
        path = f"/members/{person.member_id}"
        past = {"disable": "disabled", "enable": "enabled", "remove": "removed"}[what]
        changes = what != {"disabled": "disable"}.get(person.status, "enable")
        call = ("DELETE", path) if what == "remove" else ("POST", f"{path}/{what}")
        answer = self.lifecycle.by_staff(*call, action=f"member.{past}" if changes else "")
        if not self.check(answer, owned, person.role != "owner" or what == "enable") or not changes:
            return
        person.status = {"disable": "disabled", "remove": "removed"}.get(
            what, "active" if person.verified else "pending"
        )
        if what != "enable":
            self.lifecycle.expect_tokens_ended(of=person.name)

    @rule(data=data(), role=sampled_from(("admin", "member")))
    def give_role(self, data: Any, role: str) -> None:
        person = self.pick(data)
        changes = person.role != role
        answer = self.lifecycle.by_staff(
            "PATCH",
            f"/members/{person.member_id}",
            {"role": role},
            action="member.updated" if changes else "",
        )
        if self.check(answer, self.lifecycle.editable, person.role != "owner") and changes:
            person.role = role
            self.lifecycle.expect_tokens_ended(of=person.name)

    # ---- coming in

    @rule(data=data())
    def log_in(self, data: Any) -> None:
        person = data.draw(sampled_from(list(self.lifecycle.people.values())), label="person")
        body = {
            "email": person.address,
            "password": PASSWORD,
            "organization_id": self.lifecycle.organization_id,
        }
        answer = self.lifecycle.ask("POST", "/v1/sessions", body, token="", action="member.login")
        if self.check(answer, person.status == "active", self.lifecycle.status == "active"):
            assert answer.json["role"] == person.role
            session_id = self.world.claims(answer.json)["sid"]
            self.lifecycle.tokens.append(
                IssuedToken(answer.json["access_token"], person.name, session_id)
            )

    @rule(data=data())
    def sign_out(self, data: Any) -> None:
        good = [p for p in self.lifecycle.tokens if p.good]
        if good:
            gone = data.draw(sampled_from(good), label="pass")
            self.check(self.lifecycle.ask("DELETE", "/v1/sessions/current", token=gone.token), True)
            gone.good = False

    @rule(name=sampled_from((MANAGER, SUPPORT)))
    def staff_sign_out(self, name: str) -> None:
        own = self.lifecycle.staff[name]
        self.check(self.lifecycle.ask("DELETE", "/v1/sessions/current", token=own.token), True)
        for one in self.lifecycle.tokens:
            one.good = one.good and one.parent is not own
        self.lifecycle.staff[name] = lifecycle.log_in_staff(self.world, name)

    # ---- ownership

    @rule(data=data())
    def transfer(self, data: Any) -> None:
        person, former = self.pick(data), self.lifecycle.owner
        body = {"member_id": person.member_id, "reason": "a test"}
        answer = self.lifecycle.by_staff(
            "POST", "/ownership-transfers", body, action="ownership.transferred"
        )
        if self.check(
            answer, self.lifecycle.editable, person.status == "active", person is not former
        ):
            self.lifecycle.offer = None
            self.lifecycle.last_transfer = (
                answer.json["id"],
                former.name,
                person.name,
                person.role,
            )
            self.hand_over(former, person, "admin")

    @rule()
    def undo(self) -> None:
        if self.lifecycle.last_transfer is None:
            return
        transfer_id, former, holder, role = self.lifecycle.last_transfer
        back = self.lifecycle.people[former]
        answer = self.lifecycle.by_staff(
            "DELETE", f"/ownership-transfers/{transfer_id}", action="ownership.undone"
        )
        if self.check(
            answer,
            self.lifecycle.editable,
            self.lifecycle.owner.name == holder,
            back.status == "active",
        ):
            self.lifecycle.offer = self.lifecycle.last_transfer = None
            self.hand_over(self.lifecycle.people[holder], back, role)

    @rule(data=data())
    def offer(self, data: Any) -> None:
        person, former = self.pick(data), self.lifecycle.owner
        mine = [p for p in self.lifecycle.tokens if p.good and p.of == former.name and not p.via]
        if not mine:
            return
        answer = self.lifecycle.ask(
            "POST",
            f"{self.lifecycle.path}/ownership-transfers",
            {"member_id": person.member_id, "reason": "a test"},
            token=mine[0].token,
            action="ownership.offered",
        )
        if self.check(
            answer, person.status == "active", person is not former, self.lifecycle.offer is None
        ):
            self.lifecycle.offer = (answer.json["id"], person.name)

    @rule(data=data())
    def take(self, data: Any) -> None:
        """Only the member it was offered to can accept."""
        able = [p for p in self.lifecycle.tokens if p.good and not p.via]
        if self.lifecycle.offer is None or not able:
            return
        transfer_id, target = self.lifecycle.offer
        by = data.draw(sampled_from(able), label="pass")
        answer = self.lifecycle.ask(
            "POST",
            f"{self.lifecycle.path}/ownership-transfers/{transfer_id}/accept",
            {},
            token=by.token,
            action="ownership.accepted",
        )
        if self.check(answer, by.of == target):
            self.lifecycle.offer = self.lifecycle.last_transfer = None
            self.hand_over(self.lifecycle.owner, self.lifecycle.people[target], "admin")

    def hand_over(self, giver: Person, taker: Person, role: str) -> None:
        giver.role, taker.role = role, "owner"
        self.lifecycle.expect_tokens_ended(of=giver.name)
        self.lifecycle.expect_tokens_ended(of=taker.name)

    # ---- the organization

    @rule(data=data())
    def suspend(self, data: Any) -> None:
        changes = self.lifecycle.status == "active"
        answer = self.lifecycle.by_staff(
            "POST",
            "/suspend",
            {"reason": "a test"},
            action="organization.suspended" if changes else "",
        )
        if self.check(answer, self.lifecycle.editable) and changes:
            self.shut("suspended")

    @rule()
    def delete(self) -> None:
        changes = self.lifecycle.editable
        answer = self.lifecycle.by_staff(
            "DELETE", "", action="deletion.requested" if changes else ""
        )
        assert answer.status_code == 202
        if changes:
            self.before = self.lifecycle.status
            self.shut("suspended_for_deletion")
            self.lifecycle.offer = None

    @precondition(lambda self: self.lifecycle.status != "active")
    @rule()
    def activate(self) -> None:
        answer = self.lifecycle.by_staff("POST", "/activate", {})
        self.check(answer, True)
        deleting = self.lifecycle.status == "suspended_for_deletion"
        self.lifecycle.status = self.before if deleting else "active"

    def shut(self, status: str) -> None:
        self.lifecycle.status = status
        self.lifecycle.expect_tokens_ended(everybody=True)
        for grant in self.lifecycle.grants:
            grant.live = False

    # ---- acting for somebody

    @rule(data=data())
    def log_in_as(self, data: Any) -> None:
        person = self.pick(data)
        answer = self.lifecycle.by_staff(
            "POST",
            f"/members/{person.member_id}/login-as",
            {"reason": "a test"},
            action="member.login_as.started",
        )
        free = self.lifecycle.live_acting(MANAGER) is None
        if answer.status_code == 429:
            return
        if self.check(answer, self.lifecycle.status == "active", person.status == "active", free):
            self.act(answer, MANAGER, person.name)

    @rule()
    def ask_leave(self) -> None:
        answer = self.lifecycle.by_staff(
            "POST", "/remote-support", {"reason": "a test"}, by=SUPPORT, action="support.requested"
        )
        if self.check(answer, self.lifecycle.status == "active"):
            self.lifecycle.grants.append(Grant(answer.json["id"]))

    @rule(data=data())
    def enter(self, data: Any) -> None:
        if not self.lifecycle.grants:
            return
        grant = data.draw(sampled_from(self.lifecycle.grants), label="grant")
        answer = self.lifecycle.by_staff(
            "POST", f"/remote-support/{grant.id}/enter", {}, by=SUPPORT, action="support.entered"
        )
        free = self.lifecycle.live_acting(SUPPORT) is None
        if self.check(answer, self.lifecycle.status == "active", grant.live, free):
            self.act(answer, SUPPORT, grant.id)

    @rule(data=data())
    def end_leave(self, data: Any) -> None:
        live = [grant for grant in self.lifecycle.grants if grant.live]
        if live:
            grant = data.draw(sampled_from(live), label="grant")
            self.check(
                self.lifecycle.by_staff(
                    "DELETE", f"/remote-support/{grant.id}", action="support.ended"
                ),
                True,
            )
            grant.live = False
            self.lifecycle.expect_tokens_ended(via=grant.id)

    def act(self, answer: Any, staff: str, via: str) -> None:
        claims = self.world.claims(answer.json)
        self.lifecycle.tokens.append(
            IssuedToken(
                answer.json["access_token"],
                staff,
                claims["sid"],
                via=via,
                parent=self.lifecycle.staff[staff],
            )
        )

    # ---- what must always hold

    @invariant()
    def there_is_one_owner(self) -> None:
        with self.system.databases["membership"].reading() as session:
            owners = session.scalars(
                select(Member.id).where(
                    Member.organization_id == self.lifecycle.organization_id,
                    Member.role == "owner",
                    Member.status.in_(CURRENT_STATUSES),
                )
            ).all()
        assert owners == [self.lifecycle.owner.member_id]
        shown = self.lifecycle.by_staff("GET", "").json
        assert shown["owner"]["member_id"] == self.lifecycle.owner.member_id
        assert shown["status"] == self.lifecycle.status

    @invariant()
    def who_may_come_in_does_and_nobody_else(self) -> None:
        for one in self.lifecycle.tokens:
            answer = self.system.call("GET", "/v1/me", token=one.token)
            assert answer.status_code == (200 if one.good else 401), (one, answer.text)

    @invariant()
    def nobody_counts_a_supporter(self) -> None:
        members = self.lifecycle.by_staff("GET", "/members?limit=200").json["data"]
        assert {m["id"]: (m["role"], m["status"]) for m in members} == {
            p.member_id: (p.role, p.status) for p in self.lifecycle.people.values() if p.is_current
        }

    def teardown(self) -> None:
        rows, cursor = [], ""
        while True:
            page = self.lifecycle.by_staff("GET", f"/audit?limit=200{cursor}").json
            rows += page["data"]
            if not page["has_more"]:
                break
            cursor = f"&cursor={page['next_cursor']}"
        for accepted_changes in self.lifecycle.accepted_changes:
            assert any(
                r["request_id"] == accepted_changes.request_id
                and r["action"] == accepted_changes.action
                for r in rows
            ), accepted_changes
        assert [r for r in rows if not r["request_id"]] == []
        for name, database in self.system.databases.items():
            with database.reading() as session:
                written = session.scalar(
                    select(func.count())
                    .select_from(audit.AuditEntry)
                    .where(audit.AuditEntry.organization_id == self.lifecycle.organization_id)
                )
                assert written == sum(r["service"] == name for r in rows)
                assert list(audit.verify(session, self.lifecycle.organization_id)) == []


@pytest.fixture(scope="module")
def ground(world: World) -> Iterator[None]:
    """The world to begin from each time, and to leave as it was."""
    before = Snapshot(world.system)
    WORLD.update(world=world, begun=lifecycle.create(world), snapshot=Snapshot(world.system))
    yield
    before.restore()
    world.system.renew_gateway()
    WORLD.clear()


@pytest.mark.timeout(1200)
def test_member_lifecycle(ground: None, request: pytest.FixtureRequest) -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES or (5 if request.config.getoption("exhaustive") else 2),
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=not EXAMPLES,
            database=None,
            print_blob=True,
        ),
    )
