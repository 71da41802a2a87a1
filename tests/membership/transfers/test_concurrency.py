"""Concurrent transfers leave one owner."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from contracts import membership as messages
from membership import models

from tests.membership.transfers.conftest import ADAM, MIA, OLGA


def _together(acts):
    """Run each in a thread, started at the same moment; returns the results in this order."""
    ready = threading.Barrier(len(acts))

    def run(act):
        ready.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def _asking(service, method, path, body=None, token=""):
    """A request by a client of its own, for a thread."""
    headers = {"Authorization": f"Bearer {token}"}
    return lambda: service.app.test_client().open(path, method=method, json=body, headers=headers)


def _check_one_owner(setup, audited):
    [owner] = setup.owners()
    assert setup.service.published(messages.MembersChanged)[-1].owner.member_id == owner
    rows = [
        m
        for m in setup.service.published(messages.AuditRecorded)
        if m.action in audited and m.outcome == "ok"
    ]
    for earlier, later in itertools.pairwise(rows):
        assert earlier.changes[0]["after"] == later.changes[0]["before"]
    assert not rows or rows[-1].changes[0]["after"] == owner
    return owner


CHANGES = ("ownership.transferred", "ownership.accepted", "ownership.undone")


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_eight_concurrent_transfers_follow_each_other(setup):
    service = setup.service
    targets = [setup.joined(f"t{n}@customer.example")[0] for n in range(8)]
    path = f"/v1/organizations/{setup.organization_id}/ownership-transfers"
    answers = _together(
        [
            _asking(service, "POST", path, {"member_id": t, "reason": "r"}, setup.staff)
            for t in targets
        ]
    )
    assert [a.status_code for a in answers] == [201] * 8, [a.text for a in answers]
    assert _check_one_owner(setup, CHANGES) in targets
    assert sorted(setup.roles()[t] for t in targets) == ["admin"] * 7 + ["owner"]
    assert service.is_revoked(setup.owner)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_eight_concurrent_offers_are_one(setup):
    service = setup.service
    targets = [setup.joined(f"t{n}@customer.example")[0] for n in range(8)]
    path = f"/v1/organizations/{setup.organization_id}/ownership-transfers"
    answers = _together(
        [
            _asking(service, "POST", path, {"member_id": t, "reason": "r"}, setup.owner)
            for t in targets
        ]
    )
    assert sorted(a.status_code for a in answers) == [201] + [409] * 7
    assert {a.json["code"] for a in answers if a.status_code == 409} == {"transfer_pending"}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_concurrent_changes_leave_one_owner(setup):
    service, base = setup.service, f"/v1/organizations/{setup.organization_id}"
    path, address = (
        f"{base}/ownership-transfers",
        {setup.olga: OLGA, setup.mia: MIA, setup.adam: ADAM},
    )
    for turn in range(6):
        for member_id in address:
            service.call("POST", f"{base}/members/{member_id}/enable", token=setup.staff)
        [was] = setup.owners()
        owner_id, target = [m for m in address if m != was][:: 1 if turn % 2 else -1]
        before = setup.at_once(owner_id)
        owner, offered = setup.log_in(address[owner_id]), setup.log_in(address[target])
        offer = setup.transfer(target, token=owner).json["id"]
        calls = [
            ("POST", path, {"member_id": target, "reason": "r"}, setup.staff),
            ("POST", f"{path}/{offer}/accept", None, offered),
            ("DELETE", f"{path}/{before}", None, setup.staff),
            ("DELETE", f"{path}/{offer}", None, owner),
            ("PATCH", f"{base}/members/{owner_id}", {"role": "member"}, setup.staff),
            ("POST", f"{base}/members/{owner_id}/disable", None, setup.staff),
            ("POST", f"{base}/members/{target}/disable", None, setup.staff),
            (
                "POST",
                "/v1/sessions",
                {"email": address[target], "password": "four calm otters drift"},
                "",
            ),
        ]
        answers = _together([_asking(service, *call) for call in calls])
        assert all(a.status_code < 500 for a in answers), [a.text for a in answers]
        now_owner = _check_one_owner(setup, CHANGES)
        assert service.is_revoked(owner)
        with service.database.reading() as session:
            assert session.get_one(models.Member, now_owner).status == "active"


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_concurrently_removed_member_does_not_become_the_owner(setup):
    service, base = setup.service, f"/v1/organizations/{setup.organization_id}"
    for turn in range(4):
        target, _ = setup.joined(f"t{turn}@customer.example")
        transferred, removed = _together(
            [
                _asking(
                    service,
                    "POST",
                    f"{base}/ownership-transfers",
                    {"member_id": target, "reason": "r"},
                    setup.staff,
                ),
                _asking(service, "DELETE", f"{base}/members/{target}", None, setup.staff),
            ]
        )
        assert (transferred.status_code, removed.status_code) in ((201, 409), (404, 204))
        _check_one_owner(setup, CHANGES)
