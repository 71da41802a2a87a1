"""The services' permission tables, written down a second time by hand: loosening a row needs a
change here too."""

from importlib import import_module

import pytest
from chassis.auth.permissions import CUSTOMER, STAFF, Row

SERVICES = ("org", "billing", "membership")
ROWS: dict[str, Row] = {
    name: row
    for service in SERVICES
    for name, row in import_module(f"{service}.guard").OPERATIONS.rows.items()
}

ONES_OWN = {
    "me.read",
    "me.update",
    "me.leave",
    "me.secure",
    "session.list",
    "session.exchange",
    "session.end",
    "session.end_others",
}
A_MEMBER = ONES_OWN | {
    "member.list",
    "member.read",
    "organization.list",
    "organization.read",
    "ownership.read",
    "ownership.accept",
}
AN_ADMIN = A_MEMBER | {
    "organization.deletion_read",
    "timeline.read",
    "audit.read",
    "account.read",
    "invoices.read",
    "payments.read",
    "transactions.read",
    "member.add",
    "member.update",
    "member.change_login",
    "member.disable",
    "member.enable",
    "member.remove",
    "member.resend",
    "member.reset_password",
    "member.reset_pin",
    "member.reset_mfa",
    "member.end_sessions",
    "ownership.undo",
    "support.read",
    "support.consent",
    "support.end",
}
THE_OWNER = AN_ADMIN | {
    "organization.change",
    "organization.require_codes",
    "organization.hand_back",
    "organization.billing_email",
    "organization.hand_over",
    "account.remove_card",
    "key.list",
    "key.adopt",
    "key.manage",
    "member.confirm",
    "ownership.transfer",
}
A_VIEWER = ONES_OWN | {
    "organization.list",
    "organization.read",
    "organization.deletion_check",
    "organization.deletion_read",
    "timeline.read",
    "audit.read",
    "settings.read",
    "account.read",
    "invoices.read",
    "payments.read",
    "transactions.read",
    "wallet.read",
    "member.list",
    "member.read",
    "ownership.read",
    "ownership.accept",
    "support.read",
    "support.overview",
}
SUPPORT = A_VIEWER | {
    "organization.change",
    "organization.billing_email",
    "organization.change_tags",
    "organization.hand_over",
    "member.add",
    "member.update",
    "member.change_login",
    "member.disable",
    "member.enable",
    "member.resend",
    "member.reset_password",
    "member.reset_pin",
    "support.request",
    "support.enter",
    "support.end",
}
BILLING = A_VIEWER | {
    "organization.change",
    "organization.billing_email",
    "organization.change_tags",
    "organization.hand_over",
    "account.change",
    "account.top_up",
    "account.charge",
    "account.reserve",
    "account.adjust",
    "account.refund",
    "account.reverse",
    "account.remove_card",
    "invoices.issue",
    "payments.record",
    "usage.record",
    "ledger.read",
    "wallet.top_up",
}
ACTING = {
    "me.read",
    "session.end",
    "organization.list",
    "organization.read",
    "organization.change",
    "account.read",
    "invoices.read",
    "payments.read",
    "transactions.read",
    "member.list",
    "member.read",
    "member.update",
    "member.resend",
    "ownership.read",
    "support.read",
}
FOR_NOBODY_BUT_PROGRAMS = {"pin.verify"}
FOR_CUSTOMERS_ONLY = {
    "organization.hand_back",
    "organization.require_codes",
    "member.confirm",
    "support.consent",
}
PROVEN = {
    "organization.delete",
    "settings.change",
    "account.withdraw",
    "key.adopt",
    "key.manage",
    "member.login_as",
    "support.consent",
    "ownership.transfer",
    "ownership.accept",
    "ownership.undo",
    "member.change_login",
    "member.reset_mfa",
    "member.end_sessions",
}
NO_PROGRAM_MAY = {
    "organization.hand_back",
    "organization.require_codes",
    "settings.change",
    "key.list",
    "key.adopt",
    "key.manage",
    "member.confirm",
    "member.reset_mfa",
    "member.end_sessions",
    "member.login_as",
    "ownership.transfer",
    "ownership.accept",
    "ownership.undo",
    "support.request",
    "support.consent",
    "support.enter",
    "support.end",
} | ONES_OWN


def may(column: str) -> set[str]:
    return {name for name, row in ROWS.items() if row.marks[column] != "-"}


@pytest.mark.parametrize(
    ("column", "all_of_it"),
    [
        ("customer:member", A_MEMBER),
        ("customer:admin", AN_ADMIN),
        ("customer:owner", THE_OWNER),
        ("provider:viewer", A_VIEWER),
        ("provider:support", SUPPORT),
        ("provider:billing", BILLING),
        ("acting", ACTING),
    ],
)
def test_each_role_may_do_exactly_what_is_promised(column: str, all_of_it: set[str]) -> None:
    assert may(column) == all_of_it


@pytest.mark.parametrize(("role", "only_owners"), [("owner", set()), ("manager", {"key.adopt"})])
def test_owner_and_managers_may_do_all_except_what_belongs_to_customers(
    role: str, only_owners: set[str]
) -> None:
    assert set(ROWS) - may(f"provider:{role}") <= FOR_CUSTOMERS_ONLY | FOR_NOBODY_BUT_PROGRAMS | {
        "ownership.accept",
        *only_owners,
    }


def test_sensitive_actions_require_reauthentication() -> None:
    people = [f"provider:{role}" for role in STAFF] + [f"customer:{role}" for role in CUSTOMER]

    assert {
        name for name, row in ROWS.items() if "!" in (row.marks[column] for column in people)
    } == PROVEN


def test_what_api_keys_may_not_do() -> None:
    assert {name for name, row in ROWS.items() if not row.scopes} == NO_PROGRAM_MAY
