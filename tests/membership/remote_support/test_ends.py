"""What ends grants and the sessions under them."""

from collections.abc import Callable
from typing import Any

import pytest
from contracts import org
from membership.models import SupportGrant
from sqlalchemy import select

from tests.membership.support_setup import SupportSetup

ENDS: dict[str, tuple[str, str, Callable[[SupportSetup, str], Any]]] = {
    "the customer ends the grant": (
        "revoked_by_customer",
        "ended",
        lambda s, g: s.call("DELETE", f"{s.grants_path}/{g}", token=s.owner),
    ),
    "the requester ends the grant": (
        "stopped",
        "ended",
        lambda s, g: s.call("DELETE", f"{s.grants_path}/{g}", token=s.staff),
    ),
    "a colleague ends the grant": (
        "forced_by_provider",
        "ended",
        lambda s, g: s.call("DELETE", f"{s.grants_path}/{g}", token=s.other),
    ),
    "the managed service goes off": (
        "forced_by_provider",
        "ended",
        lambda s, g: s.settings(version=2, managed_service=False),
    ),
    "the customer manages itself from now on": (
        "organization_changed",
        "ended",
        lambda s, g: s.service.receive(
            org.OrganizationChanged(
                organization_id=s.organization_id,
                provider_id=s.provider_id,
                name="Acme Ltd",
                billing={},
                buyer_tags={},
                managed_by="customer",
            )
        ),
    ),
    "the organization is closed": (
        "organization_changed",
        "ended",
        lambda s, g: s.service.receive(
            org.EndAccess(
                organization_id=s.organization_id, deletion_id="del_01k9jm4h6jf2sb9c1d0e5f7g8h"
            )
        ),
    ),
    "the organization is suspended": (
        "organization_changed",
        "active",
        lambda s, g: s.service.receive(
            org.OrganizationSuspended(organization_id=s.organization_id, provider_id=s.provider_id)
        ),
    ),
    "staff signs out": (
        "staff_session_ended",
        "active",
        lambda s, g: s.call("DELETE", "/v1/sessions/current", token=s.staff),
    ),
    "the time is over": (
        "expired",
        "expired",
        lambda s, g: (s.service.clock.advance(minutes=50), s.end_expired()),
    ),
}


@pytest.mark.parametrize("how", ENDS)
def test_it_ends(support: SupportSetup, how: str) -> None:
    why, status, end = ENDS[how]
    assert support.other
    grant = support.request(minutes=50).json["id"]
    token = support.enter(grant).json["access_token"]

    end(support, grant)

    assert support.service.is_revoked(token), "the gateway goes on letting it in"
    with support.service.database.reading() as session:
        one = session.scalars(select(SupportGrant)).one()
    assert (support.end_reasons(), one.status) == ([why], status)
    assert support.acting_sessions()[0].ended_why == why
    assert [row.reason for row in support.rows("support.left")] == [why]
    assert support.enter(grant, token=support.fresh("other")).status_code == (
        201 if how == "staff signs out" else 409
    )


def test_either_side_can_end_a_single_session(support: SupportSetup) -> None:
    grant = support.request().json["id"]
    first = support.enter(grant).json["access_token"]
    second = support.enter(grant, token=support.other).json["access_token"]

    answer = support.call(
        "DELETE",
        f"{support.grants_path}/{support.service.claims(first)['sid']}",
        token=support.owner,
    )

    assert answer.status_code == 204
    assert (support.service.is_revoked(first), support.service.is_revoked(second)) == (True, False)
    assert (
        support.end_reasons() == ["revoked_by_customer"] and support.enter(grant).status_code == 201
    )


def test_ending_twice_changes_nothing(support: SupportSetup) -> None:
    grant = support.request().json["id"]

    statuses = [
        support.call("DELETE", f"{support.grants_path}/{grant}", token=support.owner).status_code
        for _ in range(2)
    ]

    assert statuses == [204, 204] and len(support.rows("support.ended")) == 1
