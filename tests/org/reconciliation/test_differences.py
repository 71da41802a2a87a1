"""Twenty planted differences are all found, and repaired where that is allowed. No others are."""

from typing import Any

import pytest
from billing.models import Account, Provider
from chassis.auth.actor import SYSTEM
from chassis.runtime import clock, ids
from membership.models import Organization as Access
from org import jobs, queries, sagas
from org.models import Organization, ProviderSettings

from tests.org.reconciliation.scene import PREPARED, Key, Scene

B, M = "billing", "membership"


def test_twenty_planted_differences_are_found_and_no_other(scene: Scene) -> None:
    customers = scene.customers(14)
    planted, loosening, reported_only = _plant(scene, customers)
    assert len(planted) == 20 and len(loosening) == 8

    scene.reconcile()

    assert scene.differences(left=False).keys() == planted
    scene.reconcile(minutes=11)
    assert scene.differences().keys() == reported_only | loosening
    assert {row.repair for row in scene.differences().values()} == {None}
    assert len(scene.reconcile_now()) == len(reported_only | loosening)
    assert len(scene.reconcile_now(may_reopen=True)) == len(reported_only)
    assert scene.differences().keys() == reported_only
    assert {kind for _, _, kind in planted} == {
        "missing",
        "unknown",
        "state",
        "figures",
        "settings",
    }
    _check_repairs(scene, customers)


def _plant(scene: Scene, customers: list[str]) -> tuple[set[Key], set[Key], set[Key]]:
    """What must be found, what of it only the command repairs, and what cannot be repaired."""
    c = iter(customers)
    planted: list[Key] = []
    loosening: list[Key] = []
    reported: list[Key] = []

    def plant(
        organization_id: str, service: str, kind: str, *, opens: bool = False, repaired: bool = True
    ) -> None:
        planted.append((organization_id, service, kind))
        if opens:
            loosening.append(planted[-1])
        if not repaired:
            reported.append(planted[-1])

    # An active organization.
    for status in ("frozen", "closed"):
        scene.set_account(one := next(c), status=status)
        plant(one, B, "state", opens=True)
    scene.set_account(one := next(c), status="sealed")
    plant(one, B, "state", repaired=False)
    for state in ("suspended", "ended", "provisioning"):
        scene.set_access(one := next(c), state=state)
        plant(one, M, "state", opens=True)
    scene.set_access(one := next(c), state="suspended")
    scene.set_account(one, status="frozen")
    plant(one, B, "state", opens=True)
    plant(one, M, "state", opens=True)
    # A suspended one.
    for status, state in (("open", "suspended"), ("frozen", "open"), ("closed", "suspended")):
        _suspend(scene, one := next(c))
        scene.set_account(one, status=status)
        scene.set_access(one, state=state)
        plant(one, B if status != "frozen" else M, "state", opens=status == "closed")
    # Known on one side only.
    alone = _copy(scene, "org", Organization, customers[0], "id")
    plant(alone, B, "missing", repaired=False)
    plant(alone, M, "missing", repaired=False)
    plant(_strange_account(scene, customers[0]), B, "unknown", repaired=False)
    strange = _copy(scene, "membership", Access, customers[0], "id")
    plant(strange, M, "unknown", repaired=False)
    # Figures.
    scene.set_organization(one := next(c), usable_credits="51.00", usable_units=51_000_000)
    plant(one, B, "figures")
    scene.set_account(one := next(c), prepaid=7_000_000)  # the message about it was lost
    plant(one, B, "figures")
    scene.set_organization(one := next(c), members=5)
    plant(one, M, "figures")
    # Settings of the provider.
    with scene.session("org") as session:
        session.add(
            ProviderSettings(provider_id=scene.provider, version=3, chosen={}, applied={B: 3, M: 3})
        )
    with scene.session("billing") as session:
        session.get_one(Provider, scene.provider).settings_version = 2
    plant(scene.provider, B, "settings")
    plant(scene.provider, M, "settings")
    return set(planted), set(loosening), set(reported)


def _suspend(scene: Scene, organization_id: str) -> None:
    scene.run(
        sagas.start_suspension,
        organization_id=organization_id,
        now=clock.now(),
        by=SYSTEM,
        reason=None,
    )
    scene.system.settle()


def _strange_account(scene: Scene, like: str) -> str:
    """An account of an organization that org does not know."""
    return _copy(scene, "billing", Account, like, "organization_id")


def _copy(scene: Scene, service: str, model: Any, like: str, key: str) -> str:
    """A row like another one with a new id."""
    with scene.session(service) as session:
        row = session.get_one(model, like)
        columns = {c.key: getattr(row, c.key) for c in model.__mapper__.column_attrs}
        new = ids.new("org")
        session.add(model(**columns | {key: new}))
    return new


def _check_repairs(scene: Scene, customers: list[str]) -> None:
    """Accounts and access are as org says, and org knows the figures of the others."""
    with scene.system.databases["org"].reading() as session:
        statuses = {id_: session.get_one(Organization, id_).status for id_ in customers[:10]}
    with scene.system.databases["billing"].reading() as session:
        accounts = {id_: session.get_one(Account, id_).status for id_ in customers[:10]}
    with scene.system.databases["membership"].reading() as session:
        access = {id_: session.get_one(Access, id_).state for id_ in customers[:10]}
    active, suspended = customers[:7], customers[7:10]
    assert {statuses[id_] for id_ in active} == {"active"}
    assert {statuses[id_] for id_ in suspended} == {"suspended"}
    assert [accounts[id_] for id_ in active] == ["open", "open", "sealed", *["open"] * 4]
    assert [accounts[id_] for id_ in suspended] == ["frozen"] * 3
    assert [access[id_] for id_ in (*active, *suspended)] == ["open"] * 7 + ["suspended"] * 3


def test_a_repaired_difference_that_returns_is_new(scene: Scene) -> None:
    (customer,) = scene.customers(1)
    scene.set_organization(customer, members=5)
    scene.reconcile()
    scene.reconcile(minutes=11)
    key = (customer, M, "figures")
    repaired = scene.differences(left=False)[key]
    assert repaired.repaired_at and repaired.repair == "publication"
    assert repaired.ours == {"members": 5} and repaired.theirs == {"members": 1}

    scene.set_organization(customer, members=6)
    scene.reconcile()

    again = scene.differences()[key]
    assert again.first_seen_at > repaired.first_seen_at and again.repaired_at is None


def test_no_personal_data_is_stored_with_a_difference(scene: Scene) -> None:
    (customer,) = scene.customers(1)
    scene.set_organization(customer, owner={"email": "former@a.example", "given_name": "Former"})
    scene.reconcile()

    (row,) = scene.differences(left=False).values()
    assert row.ours["owner_email"] == row.theirs["owner_email"] == "(not stored)"
    assert "example" not in f"{row.ours}{row.theirs}" and "Olga" not in f"{row.ours}{row.theirs}"


def test_a_scheduled_deletion_keeps_its_day_when_access_is_ended_again(scene: Scene) -> None:
    (customer,) = scene.customers(1)
    scene.run(
        sagas.start_deletion, organization_id=customer, now=clock.now(), by=SYSTEM, reason=None
    )
    scene.system.settle()
    with scene.system.databases["org"].reading() as session:
        before = queries.latest_deletion(session, customer).purge_at
    scene.set_access(customer, state="open")
    scene.set_account(customer, status="open")

    scene.reconcile()
    scene.reconcile(minutes=11)

    assert scene.differences().keys() == {(customer, B, "state")}
    with scene.system.databases["org"].reading() as session:
        assert queries.latest_deletion(session, customer).purge_at == before
    with scene.system.databases["membership"].reading() as session:
        assert session.get_one(Access, customer).state == "ended"


def test_a_pass_continues_where_it_stopped_and_begins_once_a_day(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "PAGE_SIZE", 2)
    customers = scene.customers(4)
    scene.set_account(customers[-1], status="sealed")
    strangers = [_strange_account(scene, customers[0]) for _ in range(3)]
    scene.step_job()
    began = scene.current_pass()
    assert began is not None and began.after is not None and began.finished_at is None

    while not scene.current_pass().finished_at:
        scene.step_job(seconds=5)
    scene.system.settle()

    expected = {(customers[-1], B, "state"), *((id_, B, "unknown") for id_ in strangers)}
    assert scene.differences().keys() == expected
    assert scene.current_pass().organizations == PREPARED + 4
    scene.step_job(hours=23)
    assert scene.current_pass().id == began.id
    scene.step_job(hours=2)
    assert scene.current_pass().id > began.id


def test_the_command_prints_what_is_left(scene: Scene) -> None:
    customers = scene.customers(3)
    scene.set_account(customers[0], status="frozen")
    scene.set_account(customers[1], status="sealed")

    lines = scene.reconcile_now()
    (line,) = scene.reconcile_now(may_reopen=True)

    assert len(lines) == 2 and all(each.endswith("not repaired") for each in lines)
    assert line.startswith(
        f"{customers[1]} billing state: org has status active, billing has state sealed; since"
    )
    assert line.endswith("not repaired")


def test_what_does_not_reply_is_reported(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    (customer,) = scene.customers(1)
    scene.set_account(customer, status="frozen")

    lines = scene.reconcile_now(settle=False)

    assert lines == [f"{customer} {service} has not replied" for service in (B, M)]
