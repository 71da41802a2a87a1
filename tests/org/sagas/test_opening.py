"""A customer is opened."""

from contracts import billing, membership, org

from tests.org.conftest import World, owner


def test_opening_requests_the_account_then_the_owner_and_activates(world: World) -> None:
    customer = world.customer()
    (request,) = world.published(org.OpenAccount)
    assert (request.organization_id, request.payment_mode, request.currency) == (
        customer,
        "prepaid",
        "EUR",
    )
    assert world.published(org.InviteOwner) == []

    world.consume(billing.AccountOpened(organization_id=customer))

    (invited,) = world.published(org.InviteOwner)
    assert invited.email == "olga@acme.example"
    assert world.organization(customer).status == "provisioning"

    world.consume(membership.OwnerInvited(organization_id=customer, owner=owner()))

    assert world.organization(customer).status == "active"
    assert world.organization(customer).owner["verified"] is True
    assert [m.organization_id for m in world.published(org.OrganizationActivated)] == [customer]


def test_repeated_and_early_replies_to_an_opening_change_nothing(world: World) -> None:
    customer = world.customer()

    world.consume(membership.OwnerInvited(organization_id=customer, owner=owner()))
    assert world.organization(customer).status == "provisioning"
    for _ in range(2):
        world.consume(billing.AccountOpened(organization_id=customer))
    for _ in range(2):
        world.consume(membership.OwnerInvited(organization_id=customer, owner=owner()))

    assert len(world.published(org.InviteOwner)) == 1
    assert len(world.published(org.OrganizationActivated)) == 1
