"""The mails about Remote Support: the warning before a long grant ends, and the receipts."""

from contracts import membership, org

from tests.membership.support_setup import SupportSetup, texts


def test_the_owner_is_warned_once_a_day_before_a_long_grant_ends(support: SupportSetup) -> None:
    def announced() -> list[str]:
        support.end_expired()
        return [
            mail["To"]
            for mail in support.service.send_mails()
            if "ends tomorrow" in mail["Subject"]
        ]

    support.request(minutes=3 * 1440)
    support.request(minutes=2 * 1440)
    support.service.clock.advance(hours=47)
    early = announced()
    support.service.clock.advance(hours=1, minutes=1)

    assert (early, announced(), announced()) == (
        [],
        ["olga@customer.example"],
        ["olga@customer.example"],
    )
    assert (
        support.staff_details_in(
            *texts([mail for mail in support.service.send_mails() if "olga" in mail["To"]])
        )
        == []
    )


def test_the_owner_gets_a_receipt(support: SupportSetup) -> None:
    token = support.enter_with_new_grant()
    support.service.clock.advance(minutes=12)
    support.call("DELETE", "/v1/sessions/current", token=token)
    ended = support.service.published(membership.ActingEnded)[0]

    support.service.receive(
        org.SupportReceiptReady(
            organization_id=support.organization_id,
            acting_id=ended.acting_id,
            left_out=1,
            rows=[
                org.Change(
                    at="2026-01-31T09:00:00.000000Z",
                    action="organization.changed",
                    target={"type": "organization", "id": "org_1", "label": "Acme Ltd"},
                    changes=[
                        {"field": "name", "before": "Acme Ltd", "after": "Acme\n Limited"},
                        {
                            "field": "billing",
                            "before": {"email": "a@x.example", "city": "B"},
                            "after": {"email": "b@x.example", "city": "B"},
                        },
                    ],
                )
            ],
        )
    )

    mails = [
        mail for mail in support.service.send_mails() if "What support did in" in mail["Subject"]
    ]
    text = texts(mails)[0]
    assert [mail["To"] for mail in mails] == ["olga@customer.example"]
    for part in (
        "12 minutes",
        "a closer look",
        "through Remote Support",
        "support ended the session",
        "Organization changed: Acme Ltd",
        "name: Acme Ltd -> Acme Limited",
        "billing.email: a@x.example -> b@x.example",
        "and 1 more entry",
    ):
        assert part in text
    assert "billing.city" not in text and support.staff_details_in(text) == []


def test_the_member_acted_as_gets_the_receipt_too_even_without_changes(
    support: SupportSetup,
) -> None:
    jane, _ = support.member("jane@customer.example")
    token = support.login_as(jane).json["access_token"]
    support.call("DELETE", "/v1/sessions/current", token=token)
    ended = support.service.published(membership.ActingEnded)[0]

    support.service.receive(
        org.SupportReceiptReady(
            organization_id=support.organization_id, acting_id=ended.acting_id, rows=[], left_out=0
        )
    )

    mails = [
        mail for mail in support.service.send_mails() if "What support did in" in mail["Subject"]
    ]
    assert sorted(mail["To"] for mail in mails) == [
        "jane@customer.example",
        "olga@customer.example",
    ]
    assert all(
        "Nothing was changed." in text and "as Jane Newcomer" in text for text in texts(mails)
    )
    assert support.staff_details_in(*texts(mails)) == []


def test_an_address_that_was_not_proved_gets_no_receipt(support: SupportSetup) -> None:
    jane, _ = support.member("jane@customer.example")
    support.call(
        "DELETE", "/v1/sessions/current", token=support.login_as(jane).json["access_token"]
    )
    ended = support.service.published(membership.ActingEnded)[0]
    moved = f"/v1/organizations/{support.organization_id}/members/{jane}"
    assert (
        support.call(
            "PATCH", moved, {"email": "typo@elsewhere.example"}, token=support.owner
        ).status_code
        == 200
    )

    support.service.receive(
        org.SupportReceiptReady(
            organization_id=support.organization_id, acting_id=ended.acting_id, rows=[], left_out=0
        )
    )

    mails = [
        mail for mail in support.service.send_mails() if "What support did in" in mail["Subject"]
    ]
    assert {mail["To"] for mail in mails} == {"jane@customer.example", "olga@customer.example"}
