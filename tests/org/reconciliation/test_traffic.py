"""No difference is invented while requests go on and messages are on their way: every step comes
between others, and messages are delivered service by service, whenever it happens."""

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from billing import actions as billing
from billing import jobs as billing_jobs
from chassis.auth.actor import SYSTEM
from chassis.errors import Failure
from chassis.runtime import clock
from membership.actions import members
from membership.values.authority import Authority
from org import actions, sagas

from tests.org.reconciliation.scene import Scene

STEPS = 160
STAFF = Authority(ranks=frozenset({"member"}))


def test_nothing_is_invented_while_traffic_runs(scene: Scene) -> None:
    traffic = _Traffic(scene, scene.customers(5))
    for _ in range(STEPS):
        traffic.step()
    scene.system.settle()

    assert scene.differences(left=False) == {}
    assert traffic.passes > 10 and scene.checked() > traffic.passes
    scene.reconcile()
    assert scene.current_pass().checked == 0


def test_what_messages_on_their_way_make_up_for_is_not_a_difference(scene: Scene) -> None:
    """They arrive after the pages were compared."""
    (customer,) = scene.customers(1)
    scene.run(
        sagas.start_suspension, organization_id=customer, now=clock.now(), by=SYSTEM, reason=None
    )
    scene.run(
        billing.top_up,
        "billing",
        organization_id=customer,
        amount=1_000_000,
        method="cash",
        now=clock.now(),
        by=SYSTEM,
    )
    scene.reconcile()

    assert scene.differences(left=False) == {}


class _Traffic:
    """One random step after the other; ``passes``: how often org has compared everything."""

    def __init__(self, scene: Scene, customers: list[str]) -> None:
        self._scene, self._customers = scene, customers
        self._random = random.Random(20)
        self._number = self.passes = 0
        self._steps: tuple[tuple[Callable[[str], Any], int], ...] = (
            (self._top_up, 5),
            (self._charge, 8),
            (self._publish, 5),
            (self._add_member, 5),
            (self._suspend, 4),
            (self._activate, 5),
            (self._delete, 2),
            (self._open, 1),
            (self._set, 2),
            (self._deliver, 45),
            (self._reconcile, 12),
        )

    def step(self) -> None:
        act, weight = zip(*self._steps, strict=True)
        (chosen,) = self._random.choices(act, weight)
        with suppress(Failure):  # refused in this status
            chosen(self._random.choice(self._customers))

    def _deliver(self, _: str) -> None:
        relay = self._scene.system._relays[self._random.choice(("org", "billing", "membership"))]
        relay.step(clock.now())

    def _reconcile(self, _: str) -> None:
        self._scene.step_job()
        self.passes += 1

    def _publish(self, _: str) -> None:
        billing_jobs.publish_balances(self._scene.system.databases["billing"], clock.now(), None)

    def _top_up(self, customer: str) -> None:
        self._on_account(billing.top_up, customer, method="cash")

    def _charge(self, customer: str) -> None:
        self._on_account(billing.charge, customer, kind="usage", description="calls")

    def _on_account(self, act: Any, customer: str, **details: Any) -> None:
        amount = self._random.randrange(1, 5) * 1_000_000
        about = {"organization_id": customer, "amount": amount, "now": clock.now(), "by": SYSTEM}
        self._scene.run(act, "billing", **about, **details)

    def _add_member(self, customer: str) -> None:
        self._number += 1
        self._scene.run(
            members.add_member,
            "membership",
            organization_id=customer,
            fields={"name": f"Member {self._number}", "portal_access": False},
            pin_hash="-",
            authority=STAFF,
            by=SYSTEM,
            now=clock.now(),
        )

    def _suspend(self, customer: str) -> None:
        self._on_organization(sagas.start_suspension, customer, reason=None)

    def _activate(self, customer: str) -> None:
        self._on_organization(sagas.start_reactivation, customer)

    def _delete(self, customer: str) -> None:
        self._on_organization(sagas.start_deletion, customer, reason=None)

    def _on_organization(self, act: Any, customer: str, **details: Any) -> None:
        self._scene.run(act, organization_id=customer, now=clock.now(), by=SYSTEM, **details)

    def _open(self, _: str) -> None:
        self._number += 1
        self._customers.append(self._scene.open_customer(1000 + self._number))

    def _set(self, _: str) -> None:
        self._scene.run(
            actions.change_settings,
            provider_id=self._scene.provider,
            now=clock.now(),
            by=SYSTEM,
            changes={"payment_terms_days": self._random.randrange(1, 60)},
            check=lambda _: None,
        )
