"""The rules of organizations and deletions: the state table row by row."""

from datetime import timedelta

import pytest
from chassis.errors import Conflict, Gone
from org import models, values
from org.models import Deletion, Organization

from tests.org.conftest import NOON

TABLE = [
    # status, action, transition or (kind, code)
    ("provisioning", "edit", (Conflict, "organization_provisioning")),
    ("provisioning", "suspend", (Conflict, "organization_provisioning")),
    ("provisioning", "activate", (Conflict, "organization_provisioning")),
    ("provisioning", "delete", (Conflict, "organization_provisioning")),
    ("active", "edit", "yes"),
    ("active", "suspend", "yes"),
    ("active", "activate", "same"),
    ("active", "delete", "start"),
    ("suspended", "edit", "yes"),
    ("suspended", "suspend", "same"),
    ("suspended", "activate", "restore"),
    ("suspended", "delete", "start"),
    ("closing", "edit", (Conflict, "organization_closing")),
    ("closing", "suspend", (Conflict, "organization_closing")),
    ("closing", "activate", (Conflict, "organization_closing")),
    ("closing", "delete", "existing"),
    ("suspended_for_deletion", "edit", (Conflict, "suspended_for_deletion")),
    ("suspended_for_deletion", "suspend", (Conflict, "suspended_for_deletion")),
    ("suspended_for_deletion", "activate", "restore"),
    ("suspended_for_deletion", "delete", "existing"),
    ("deleted", "edit", (Gone, "organization_deleted")),
    ("deleted", "suspend", (Gone, "organization_deleted")),
    ("deleted", "activate", (Gone, "organization_deleted")),
    ("deleted", "delete", "existing"),
]


@pytest.mark.parametrize(("status", "action", "expected"), TABLE)
def test_each_status_allows_what_the_table_says(status: str, action: str, expected: object) -> None:
    organization = Organization(kind="customer", status=status)

    if isinstance(expected, str):
        assert organization.transition(action) == expected
    else:
        kind, code = expected  # type: ignore[misc]
        with pytest.raises(kind) as refusal:
            organization.transition(action)
        assert refusal.value.code == code


def test_the_table_has_no_other_status_or_action() -> None:
    assert {(status, action) for status in values.STATES for action in values.STATES[status]} == {
        (status, action) for status, action, _ in TABLE
    }


@pytest.mark.parametrize("action", ["suspend", "activate", "delete"])
def test_the_provider_can_only_be_edited(action: str) -> None:
    root = Organization(kind="provider", status="active")

    with pytest.raises(models.ProviderRoot) as refusal:
        root.transition(action)

    assert refusal.value.code == "provider_root"
    assert root.transition("edit") == "yes"


@pytest.mark.parametrize(("seconds", "too_late"), [(-1, False), (0, True), (1, True)])
def test_a_deletion_can_be_cancelled_until_the_purge(seconds: int, too_late: bool) -> None:
    deletion = Deletion(status="asked")
    deletion.schedule(NOON, NOON + timedelta(days=30))
    at = NOON + timedelta(days=30, seconds=seconds)

    if too_late:
        with pytest.raises(models.GraceOver):
            deletion.cancel(at)
        assert deletion.status == "scheduled"
    else:
        deletion.cancel(at)
        assert deletion.status == "cancelled"


@pytest.mark.parametrize("status", ["asked", "refused", "cancelled", "purging", "completed"])
def test_only_a_scheduled_deletion_can_be_cancelled(status: str) -> None:
    deletion = Deletion(status=status, purge_at=NOON + timedelta(days=1))

    with pytest.raises(models.GraceOver):
        deletion.cancel(NOON)


def test_a_tombstone_keeps_no_personal_data() -> None:
    organization = Organization(
        id="org_01h455vb4pex5vsknk084sn02q",
        name="Acme",
        owner={"email": "olga@acme.example"},
        buyer_tags={"TypeRef": "x"},
        billing_name="Olga",
        billing_email="olga@acme.example",
        billing_address="Street 1",
        billing_city="Town",
    )

    organization.erase()

    assert organization.owner == {}
    assert organization.buyer_tags == {}
    assert organization.billing == {"name": "Acme", "email": None, "address": None, "city": None}
    assert "olga" not in organization.search


def test_the_billing_name_follows_the_name_until_it_is_set() -> None:
    organization = Organization(name="Acme")

    assert organization.billing["name"] == "Acme"
    organization.billing_name = "Acme Holding"
    assert organization.billing["name"] == "Acme Holding"
