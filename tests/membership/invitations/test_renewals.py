"""An expired link can be renewed by its holder; people are invited again."""

import pytest
from contracts import org

from tests.membership.invitations.conftest import MIA, NEW, OLGA, PASSWORD


def test_the_holder_of_an_expired_link_can_ask_the_inviter_for_a_new_one(setup):
    member_id = setup.add().json["id"]
    link = setup.service.link(MIA)
    setup.renew(link)
    assert setup.audited("invitation.renewal_asked") == []
    setup.advance(days=7, seconds=1)
    gone = setup.verify(link, {"password": PASSWORD})
    assert (
        gone.status_code == 410
        and gone.json["code"] == "link_spent"
        and "/renewal" in gone.json["detail"]
    )
    for _ in range(3):
        setup.renew(link)
    [mail] = setup.mails(OLGA, "have asked you for a new one")
    assert MIA in mail.get_content() and link not in mail.get_content()
    [row] = setup.audited("invitation.renewal_asked")
    assert row.target["id"] == member_id and row.organization_id == setup.organization_id
    setup.advance(days=1, seconds=1)
    setup.renew(link)
    assert len(setup.mails(OLGA, "have asked you for a new one")) == 2
    assert setup.resend(member_id).status_code == 200
    setup.service.accept(MIA)
    setup.advance(days=2)
    setup.renew(link)
    assert len(setup.audited("invitation.renewal_asked")) == 2


@pytest.mark.parametrize("how", ["unknown", "removed", "disabled", "moved", "ended"])
def test_a_renewal_request_does_nothing_where_no_link_can_follow(setup, how):
    member_id = setup.add().json["id"]
    link = setup.service.link(MIA) if how != "unknown" else "x" * 43
    setup.advance(days=8)
    if how == "removed":
        setup.call("DELETE", f"/{member_id}")
    elif how == "disabled":
        setup.call("POST", f"/{member_id}/disable")
    elif how == "moved":
        setup.call("PATCH", f"/{member_id}", {"email": NEW})
    elif how == "ended":
        setup.service.receive(org.EndAccess(organization_id=setup.organization_id, deletion_id="d"))
    setup.renew(link)
    assert setup.audited("invitation.renewal_asked") == []
    assert setup.mails(OLGA, "have asked you for a new one") == []


def test_without_the_inviter_the_owner_is_notified_and_for_an_owner_the_provider(setup):
    admin_id = setup.joined("adam@customer.example", "admin")
    admin = setup.service.log_in("adam@customer.example")["access_token"]
    assert setup.add(token=admin).status_code == 201
    setup.service.customer("zoe@second.example", name="Second", provider_id=setup.provider_id)
    links = [setup.service.link(MIA), setup.service.link("zoe@second.example")]
    setup.advance(days=8)
    assert setup.call("DELETE", f"/{admin_id}").status_code == 204
    for link in links:
        setup.renew(link)
    addresses = [
        m["To"]
        for m in setup.service.send_mails()
        if "have asked you for a new one" in m.get_content()
    ]
    assert sorted(addresses) == ["admin@example.com", OLGA]


def test_enabling_a_member_who_never_joined_invites_them_again(setup):
    member_id = setup.add().json["id"]
    old = setup.service.link(MIA)
    setup.call("POST", f"/{member_id}/disable")
    assert setup.verify(old, {"password": PASSWORD}).status_code == 410
    enabled = setup.call("POST", f"/{member_id}/enable").json
    assert enabled["status"] == "pending" and enabled["invitation"]["expired"] is False
    assert setup.service.link(MIA) != old
    setup.service.accept(MIA)


def test_enabling_works_beyond_the_email_limit_but_sends_nothing(setup):
    member_id = setup.add().json["id"]
    for _ in range(8):
        assert setup.call("POST", f"/{member_id}/disable").status_code == 200
        assert setup.call("POST", f"/{member_id}/enable").status_code == 200
    assert setup.show(member_id)["invitation"]["expired"] is True
    assert len(setup.audited("invitation.sent")) == 1 + 6
