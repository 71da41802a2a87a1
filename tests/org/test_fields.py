"""The declarations of an organization's fields: what follows from each is there."""

from dataclasses import fields

from contracts import org
from org import guard, schemas
from org.models import FIELDS, PATCHABLE

from tests.house.endpoints import field_operations


def test_the_fields_of_a_response_are_those_declared() -> None:
    assert list(schemas.Organization().fields) == list(FIELDS)


def test_what_can_be_patched_is_what_is_declared_patchable() -> None:
    assert tuple(schemas.OrganizationPatch().fields) == PATCHABLE
    at_creation = {name for name in PATCHABLE if FIELDS[name].at_creation}
    assert set(PATCHABLE) & set(schemas.NewOrganization().fields) == at_creation


def test_the_published_fields_are_those_of_the_message() -> None:
    published = {field.name for field in FIELDS.values() if field.published}
    ids = {"organization_id", "provider_id"}

    assert {field.name for field in fields(org.OrganizationChanged)} == published | ids


def test_the_operations_that_fields_need_are_in_the_table() -> None:
    assert set(guard.OPERATIONS.rows) >= field_operations()


def test_a_patch_needs_the_operations_of_its_fields_and_values_each_once() -> None:
    def needed(**changes: object) -> list[str]:
        return guard.operations_to_change(changes)

    assert needed(name="New", billing={}) == []
    assert needed(billing={"city": "Bonn", "name": None}) == []
    for email in ("billing@new.example", None):
        billing = {"city": "Bonn", "email": email}
        assert needed(billing=billing) == ["organization.billing_email"]
    assert needed(demo=True, buyer_tags={}) == ["organization.change_tags"]
    assert needed(managed_by="provider") == ["organization.hand_back"]
    assert needed(demo=True, managed_by="customer") == [
        "organization.hand_over",
        "organization.change_tags",
    ]


def test_the_columns_of_one_field_are_declared_alike() -> None:
    for field in FIELDS.values():
        declarations = [column.info["declared"] for column in field.columns]

        assert all(declaration == declarations[0] for declaration in declarations), field.name
