"""Billing's HTTP API: who may call it, with what, and the responses."""

import base64
from datetime import timedelta

import pytest
from billing import actions
from billing.guard import OPERATIONS
from chassis.audit import AuditEntry
from chassis.runtime import clock, ids
from sqlalchemy import select

from tests.billing.conftest import SECRET
from tests.billing.test_ledger_audit import run_audit
from tests.billing.test_values import BAD

BODIES = {
    "account.read": ("GET", "/account", None),
    "account.change": ("PATCH", "/account", {"credit_limit": "1"}),
    "account.top_up": ("POST", "/account/top-ups", {"amount": "1", "method": "cash"}),
    "account.withdraw": (
        "POST",
        "/account/withdrawals",
        {"amount": "0.01", "method": "cash", "reason": "x"},
    ),
    "account.charge": (
        "POST",
        "/account/charges",
        {"amount": "0.01", "kind": "usage", "description": "x"},
    ),
    "account.reserve": ("POST", "/account/reservations", {"amount": "0.01", "description": "x"}),
    "account.adjust": (
        "POST",
        "/account/adjustments",
        {"amount": "-0.01", "kind": "correction", "reason": "x"},
    ),
    "transactions.read": ("GET", "/account/transactions", None),
    "ledger.read": ("GET", "/v1/ledger/proof", None),
    "wallet.read": ("GET", "/v1/wallet", None),
    "wallet.top_up": ("POST", "/v1/wallet/top-ups", {"amount": "1"}),
}
# These need an existing object: who has the permission learns that it is missing, who has not
# learns nothing.
MISSING = {
    "account.refund": (
        "POST",
        "/account/refunds",
        {"transaction_id": ids.new("txn"), "reason": "x"},
    ),
    "account.reverse": ("POST", f"/account/transactions/{ids.new('txn')}/reverse", {"reason": "x"}),
    "account.remove_card": ("DELETE", "/account/payment-method", None),
    "invoices.read": ("GET", f"/invoices/{ids.new('inv')}", None),
    "invoices.issue": ("POST", "/invoices", {}),
    "payments.read": ("GET", f"/payments/{ids.new('pay')}", None),
    "payments.record": ("POST", "/payments", {"amount": "1", "method": "cash"}),
    "usage.record": ("POST", "/v1/usage", {"records": []}),
}
ACT = {"sub": "idn_x", "org": "org_x", "sid": "ses_x", "mode": "login_as", "access": "full"}
PEOPLE = [("provider", role) for role in ("owner", "manager", "billing", "support", "viewer")]
PEOPLE += [("customer", role) for role in ("owner", "admin", "member")]


def path_of(operation, org):
    method, path, body = {**BODIES, **MISSING}[operation]
    return method, path if path.startswith("/v1") else f"/v1/organizations/{org}{path}", body


def pointers(response):
    assert response.status_code == 422, response.json
    return [error["pointer"] for error in response.json["errors"]]


def test_every_operation_has_a_sample_request():
    assert {*BODIES, *MISSING} == set(OPERATIONS.rows)


@pytest.mark.parametrize("operation", [*BODIES, *MISSING])
def test_access_follows_the_permission_table(world, operation):
    org = world.open()
    world.top_up(org, "10")
    run_audit(world)
    method, path, body = path_of(operation, org)
    for kind, role in PEOPLE:
        for act in (None, ACT):
            token = world.token(
                kind, role, None if kind == "provider" else org, **({"act": act} if act else {})
            )
            response = world.call(method, path, body, token=token)
            allowed = OPERATIONS.allows(operation, kind=kind, role=role, acting=act is not None)
            welcome = (200, 201) if operation in BODIES else (404, 409, 422)
            assert (response.status_code in welcome) == allowed, (kind, role, act, response.json)
            assert allowed or response.status_code == 403


@pytest.mark.parametrize(
    "operation",
    [name for name, (_, path, _) in {**BODIES, **MISSING}.items() if not path.startswith("/v1")],
)
def test_another_organization_does_not_exist_and_without_a_token_it_is_401(world, operation):
    org = world.open()
    method, path, body = path_of(operation, org)
    other_provider = world.token(org=ids.new("org"))
    other_customer = world.token("customer", "owner", world.open())
    for token in (other_provider, other_customer):
        assert world.call(method, path, body, token=token).status_code == 404
    for wrong in ("org_x", "mem" + org[3:], org.upper(), ids.new("org"), "%00"):
        assert world.call(method, path.replace(org, wrong), body).status_code == 404
    assert world.call(method, path, body, token="x.y.z").status_code == 401


def test_a_denial_is_audited(world):
    org = world.open()
    world.call(
        "POST",
        f"/v1/organizations/{org}/account/top-ups",
        {},
        token=world.token("customer", "owner", org),
    )
    with world.database.reading() as session:
        row = session.scalars(
            select(AuditEntry)
            .where(AuditEntry.organization_id == org)
            .order_by(AuditEntry.number.desc())
        ).first()
    assert (row.action, row.outcome, row.actor["kind"]) == ("account.top_up", "denied", "member")


@pytest.mark.parametrize(
    ("operation", "also"),
    [
        ("account.top_up", []),
        ("account.withdraw", ["-1"]),
        ("account.charge", ["-1", "0"]),
        ("account.reserve", ["-1", "0"]),
        ("account.adjust", ["0", "-0"]),
        ("wallet.top_up", ["-1", "0.000000"]),
        ("account.change", ["-1"]),
    ],
)
def test_an_invalid_amount_is_refused_with_its_location(world, operation, also):
    org = world.open()
    method, path, body = path_of(operation, org)
    field = "credit_limit" if operation == "account.change" else "amount"
    for bad in [*BAD, *also]:
        response = world.call(method, path, {**body, field: bad})
        assert pointers(response) == [f"/{field}"], bad
    assert world.account(org)["balance"] == "0.00"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"amount": "1"},
        {"amount": "1", "method": "gold"},
        {"amount": "1", "method": "cash", "id": "x"},
        {"amount": "1", "method": "cash", "remark": "x" * 501},
        {"amount": "1", "method": "cash", "reference": 7},
    ],
)
def test_unknown_fields_and_values_of_a_top_up_are_refused(world, body):
    assert pointers(world.post(world.open(), "top-ups", body))


def test_a_reason_has_one_to_five_hundred_characters(world):
    org = world.open()
    world.top_up(org, "9")
    body = {"amount": "1", "method": "cash"}
    for reason in ("", "  ", "x" * 501):
        assert pointers(world.post(org, "withdrawals", {**body, "reason": reason})) == ["/reason"]
    assert world.post(org, "withdrawals", {**body, "reason": "x" * 500}).status_code == 201


@pytest.mark.parametrize(
    "operation", [name for name, (method, *_) in BODIES.items() if method == "POST"]
)
def test_money_moves_once_and_only_with_an_idempotency_key(world, operation):
    org = world.open(limit="5")
    world.top_up(org, "10")
    method, path, body = path_of(operation, org)
    assert world.call(method, path, body, key=None).json["code"] == "idempotency_key_required"
    first, again = (world.call(method, path, body, key="one") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.json, again.headers["Idempotent-Replayed"]) == (first.json, "true")
    other = world.call(method, path, {**body, "amount": "0.02"}, key="one")
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reused")


def test_a_refusal_is_stored_under_its_key_even_after_a_top_up(world):
    org = world.open()
    body = {"amount": "5", "kind": "usage", "description": "x"}
    first = world.post(org, "charges", body, key="one")
    world.top_up(org, "100")
    again = world.post(org, "charges", body, key="one")
    assert (first.status_code, again.status_code, again.json["code"]) == (
        409,
        409,
        "insufficient_credits",
    )
    assert world.account(org)["balance"] == "100.00"


def test_the_account_has_every_field_of_the_contract(world):
    shown = world.account(world.open(limit="7", currency="JPY"))
    assert set(shown) == {
        "organization_id",
        "currency",
        "payment_mode",
        "status",
        "usable_credits",
        "balance",
        "credit_limit",
        "credit_limit_expires_at",
        "reserved_credits",
        "expecting_invoice",
        "amount_due",
        "current_balance",
        "days_to_empty",
        "auto_top_up",
        "payment_method",
        "as_of",
    }
    assert (shown["credit_limit"], shown["balance"], shown["payment_method"]) == ("7", "0", None)
    assert shown["auto_top_up"] == {
        "enabled": False,
        "threshold": None,
        "amount": None,
        "method": None,
    }


def test_a_change_needs_the_current_etag(world):
    org = world.open()
    tag = world.call("GET", f"/v1/organizations/{org}/account").headers["ETag"]
    world.top_up(org, "10")
    changed = world.patch(org, {"credit_limit": "5"}, If_Match=tag)
    assert (changed.status_code, changed.json["credit_limit"]) == (200, "5.00")
    assert world.patch(org, {"credit_limit": "6"}, If_Match=tag).status_code == 412
    assert (
        world.patch(org, {"credit_limit": "6"}, If_Match=changed.headers["ETag"]).status_code == 200
    )
    assert world.call("GET", f"/v1/organizations/{org}/account").json["credit_limit"] == "6.00"


@pytest.mark.parametrize(
    "body",
    [
        {"balance": "5"},
        {"payment_mode": "free"},
        {"credit_limit": None},
        {"credit_limit_expires_at": "tomorrow"},
        {"auto_top_up": {"enabled": True}},
        {"auto_top_up": {"threshold": "-1"}},
        {"auto_top_up": {"x": 1}},
        {"credit_limit": "5", "credit_limit_expires_at": "2020-01-01T00:00:00Z"},
        {"auto_top_up": None},
    ],
)
def test_an_invalid_change_is_refused(world, body):
    assert pointers(world.patch(world.open(), body))


def test_a_temporary_limit_is_set_with_its_end_and_made_permanent_by_null(world):
    org = world.open(limit="10")
    ends = clock.stamp(clock.now() + timedelta(days=1))
    shown = world.patch(org, {"credit_limit": "50", "credit_limit_expires_at": ends}).json
    assert (shown["credit_limit"], shown["credit_limit_expires_at"]) == ("50.00", ends)
    assert world.patch(org, {"credit_limit": "60"}).json["credit_limit_expires_at"] == ends
    shown = world.patch(org, {"credit_limit_expires_at": None}).json
    assert (shown["credit_limit"], shown["credit_limit_expires_at"]) == ("60.00", None)
    assert world.last_published(org, "audit_recorded")["action"] == "account.credit_limit_changed"


def test_automatic_top_up_settings_are_stored(world):
    org = world.open()
    world.top_up(org, "100")
    body = {"auto_top_up": {"enabled": True, "amount": "50", "method": "issue"}}
    shown = world.patch(org, body).json["auto_top_up"]
    assert shown == {"enabled": True, "threshold": "20.00", "amount": "50.00", "method": "issue"}
    assert (
        world.patch(org, {"auto_top_up": {"threshold": "7"}}).json["auto_top_up"]["threshold"]
        == "7.00"
    )
    assert (
        world.patch(org, {"auto_top_up": {"method": "card"}}).json["code"]
        == "payment_method_missing"
    )


def test_a_change_to_postpaid_needs_a_limit_and_keeps_the_money(world):
    org = world.open()
    world.top_up(org, "40")
    assert world.patch(org, {"payment_mode": "postpaid"}).json["code"] == "credit_limit_required"
    shown = world.patch(org, {"payment_mode": "postpaid", "credit_limit": "100"}).json
    assert (shown["usable_credits"], shown["amount_due"], shown["current_balance"]) == (
        "140.00",
        "40.00",
        "40.00",
    )
    world.charge(org, "10")
    response = world.patch(org, {"payment_mode": "prepaid"})
    assert (response.status_code, response.json["code"], response.json["unbilled"]) == (
        409,
        "open_amounts",
        "10.00",
    )
    world.adjust(org, "10", "goodwill")
    shown = world.patch(org, {"payment_mode": "prepaid"}).json
    assert (shown["balance"], shown["amount_due"], shown["usable_credits"]) == (
        "40.00",
        "0.00",
        "140.00",
    )


def test_a_prepaid_debt_becomes_unbilled(world):
    org = world.open(limit="30")
    world.charge(org, "20")
    shown = world.patch(org, {"payment_mode": "postpaid"}).json
    assert (shown["expecting_invoice"], shown["balance"], shown["usable_credits"]) == (
        "-20.00",
        "-20.00",
        "10.00",
    )


def test_org_can_read_the_blockers_of_closing(world):
    org = world.open()
    world.top_up(org, "5")
    path, secret = (
        f"/internal/organizations/{org}/closing-check",
        base64.b64encode(f"org:{SECRET}".encode()).decode(),
    )
    response = world.client.get(path, headers={"Authorization": f"Basic {secret}"})
    assert response.json == {
        "blockers": [{"code": "credits_left", "amount": "5.00", "currency": "SGD"}]
    }
    assert world.account(org)["status"] == "open"
    assert world.client.get(path).status_code == 401
    assert world.call("GET", path).status_code == 401


def test_a_wallet_can_hold_several_currencies(world):
    world.top_up(world.open(currency="JPY"), "70")
    world.call("POST", "/v1/wallet/top-ups", {"amount": "5", "currency": "EUR"})
    assert (
        world.call("POST", "/v1/wallet/top-ups", {"amount": "5", "currency": "QQQ"}).status_code
        == 422
    )
    assert [
        tuple(balance.values()) for balance in world.call("GET", "/v1/wallet").json["data"]
    ] == [
        ("SGD", "0.00", "0.00", "0.00"),
        ("EUR", "5.00", "0.00", "5.00"),
        ("JPY", "0", "70", "-70"),
    ]


def test_a_closed_account_can_still_be_read(world):
    org = world.open()
    with world.database.transaction() as session:
        actions.close_account(session, organization_id=org, deletion_id="d", now=clock.now())
    assert world.account(org)["status"] == "closed"
    assert world.call("GET", f"/v1/organizations/{org}/account/transactions").json["data"] == []
    assert (
        world.post(org, "top-ups", {"amount": "1", "method": "cash"}).json["code"]
        == "account_closed"
    )
