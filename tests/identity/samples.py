"""A valid request for every operation: if allowed, it succeeds."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chassis.runtime import clock

from tests.identity.system import PASSWORD
from tests.identity.world import Tenant

O = "/v1/organizations/{organization_id}"  # noqa: E741 - as the contract writes it
M = f"{O}/members"
Body = Callable[[Tenant], Any]


@dataclass(frozen=True)
class Sample:
    """A request. ``group``: which states of the organization allow it (``matrix.STATES``);
    ``also``: another operation that the body requires; ``ids``: what replaces ids in the path:
    another thing of the organization, or a word."""

    body: Body = lambda tenant: None
    group: str = "read"
    also: str = ""
    query: str = ""
    ids: Mapping[str, str] | None = None


def _fresh(domain: str = "new.example") -> str:
    return f"{secrets.token_hex(4)}@{domain}"


def _organization(_: Tenant) -> dict[str, Any]:
    return {
        "name": "New Ltd",
        "country": "DE",
        "currency": "EUR",
        "timezone": "Europe/Berlin",
        "pricing_model": "app",
        "billing": {"email": _fresh()},
        "owner": {"given_name": "Nina", "family_name": "New", "email": _fresh()},
    }


def _usage(tenant: Tenant) -> dict[str, Any]:
    record = {
        "id": secrets.token_hex(8),
        "organization_id": tenant.id,
        "amount": "0.01",
        "at": clock.stamp(clock.now()),
        "description": "a call",
    }
    return {"records": [record]}


def _new_member(_: Tenant) -> dict[str, Any]:
    return {"name": "Nora New", "email": _fresh(), "role": "member", "portal_access": True}


def says(**body: Any) -> Body:
    """The same body everywhere."""
    return lambda tenant: body


_PAID = {"amount": "1", "method": "cash"}

SAMPLES: dict[str, tuple[Sample, ...]] = {
    # --- org
    "POST /v1/organizations": (Sample(_organization, "own"),),
    "GET /v1/organizations": (Sample(),),
    f"GET {O}": (Sample(),),
    f"PATCH {O}": (
        Sample(says(billing={"city": "Bonn"}), "edit"),
        Sample(
            lambda _: {"billing": {"email": _fresh()}},
            "edit",
            also="organization.billing_email",
        ),
        Sample(says(demo=True), "edit", also="organization.change_tags"),
        Sample(says(managed_by="provider"), "edit", also="organization.hand_back"),
        Sample(says(managed_by="customer"), "edit", also="organization.hand_over"),
        Sample(says(mfa_required=False), "edit", also="organization.require_codes"),
    ),
    f"DELETE {O}": (Sample(says(reason="a test"), "delete"),),
    f"POST {O}/suspend": (Sample(says(reason="a test"), "suspend"),),
    f"POST {O}/activate": (Sample(says(), "activate"),),
    f"GET {O}/deletion-check": (Sample(),),
    f"GET {O}/deletion": (Sample(group="deletion"),),
    f"GET {O}/timeline": (Sample(),),
    f"GET {O}/audit": (Sample(), Sample(query="actor=a&outcome=denied")),
    "GET /v1/settings": (Sample(group="own"),),
    "PATCH /v1/settings": (Sample(says(payment_terms_days=7), "own"),),
    # --- billing
    f"GET {O}/account": (Sample(),),
    f"PATCH {O}/account": (Sample(says(credit_limit="500"), "settle"),),
    f"POST {O}/account/top-ups": (Sample(says(**_PAID), "settle"),),
    f"POST {O}/account/allocate": (Sample(says(), "settle"),),
    f"POST {O}/account/withdrawals": (Sample(says(**_PAID, reason="a test"), "settle"),),
    f"POST {O}/account/charges": (
        Sample(says(amount="1", kind="usage", description="a call"), "spend"),
    ),
    f"POST {O}/account/adjustments": (
        Sample(says(amount="1", kind="goodwill", reason="a test"), "settle"),
    ),
    f"POST {O}/account/refunds": (
        Sample(
            lambda t: {
                "transaction_id": t.thing("transaction_id"),
                "amount": "1",
                "reason": "a test",
            },
            "settle",
        ),
    ),
    f"POST {O}/account/transactions/{{transaction_id}}/reverse": (
        Sample(says(reason="a test"), "reverse"),
    ),
    f"DELETE {O}/account/payment-method": (Sample(group="card"),),
    f"GET {O}/account/reservations": (Sample(),),
    f"POST {O}/account/reservations": (Sample(says(amount="1", description="a call"), "spend"),),
    f"GET {O}/account/reservations/{{reservation_id}}": (Sample(),),
    f"POST {O}/account/reservations/{{reservation_id}}/capture": (
        Sample(says(amount="1"), "settle"),
    ),
    f"POST {O}/account/reservations/{{reservation_id}}/release": (Sample(says(), "settle"),),
    f"GET {O}/account/transactions": (Sample(),),
    f"GET {O}/account/transactions/{{transaction_id}}": (Sample(),),
    f"POST {O}/payments": (
        Sample(says(**_PAID), "settle"),
        Sample(lambda t: {**_PAID, "invoice_ids": [t.thing("invoice_id")]}, "settle"),
    ),
    f"GET {O}/payments": (Sample(),),
    f"GET {O}/payments/{{payment_id}}": (Sample(),),
    f"PATCH {O}/payments/{{payment_id}}": (Sample(says(invoice_ids=[]), "settle"),),
    f"GET {O}/invoices": (Sample(),),
    f"POST {O}/invoices": (Sample(says(), "settle"),),
    f"GET {O}/invoices/{{invoice_id}}": (Sample(),),
    f"GET {O}/invoices/{{invoice_id}}.pdf": (Sample(),),
    f"POST {O}/invoices/{{invoice_id}}/void": (Sample(says(reason="a test"), "settle"),),
    f"POST {O}/invoices/{{invoice_id}}/credit-notes": (
        Sample(says(amount="1", reason="a test"), "settle"),
    ),
    "POST /v1/usage": (Sample(_usage, "own"),),
    "GET /v1/wallet": (Sample(group="own"),),
    "POST /v1/wallet/top-ups": (Sample(says(**_PAID), "own"),),
    "GET /v1/wallet/transactions": (Sample(group="own"),),
    "POST /v1/wallet/transactions/{top_up_id}/reverse": (Sample(says(reason="a test"), "own"),),
    "GET /v1/ledger/proof": (Sample(group="own"),),
    # --- membership
    "POST /v1/sessions": (
        Sample(says(email="owner@zzacmezz.example", password=PASSWORD), "public"),
    ),
    "GET /v1/sessions": (Sample(),),
    "POST /v1/sessions/refresh": (Sample(says(refresh_token="nobody's"), "public"),),
    "POST /v1/sessions/exchange": (Sample(lambda t: {"organization_id": t.id}, "own"),),
    "DELETE /v1/sessions/{session_id}": (Sample(ids={"session_id": "current"}, group="own"),),
    "GET /.well-known/jwks.json": (Sample(group="public"),),
    "GET /v1/me": (Sample(),),
    "PATCH /v1/me": (Sample(says(given_name="Given"), "own"),),
    "GET /v1/me/organizations": (Sample(),),
    "DELETE /v1/me/memberships/{organization_id}": (Sample(group="leave"),),
    "GET /v1/verifications/{token}": (Sample(group="public"),),
    "POST /v1/verifications/{token}": (Sample(says(password=PASSWORD), "public"),),
    "POST /v1/password-resets": (Sample(says(email="owner@zzacmezz.example"), "public"),),
    "GET /v1/password-resets/{token}": (Sample(group="public"),),
    "POST /v1/password-resets/{token}": (Sample(says(password=PASSWORD), "public"),),
    "GET /v1/mfa-resets/{token}": (Sample(group="public"),),
    "POST /v1/mfa-resets/{token}": (Sample(says(password=PASSWORD), "public"),),
    f"GET {M}": (Sample(), Sample(query="q=zz&role=owner")),
    f"POST {M}": (Sample(_new_member, "members"),),
    f"GET {M}/{{member_id}}": (Sample(group="person"),),
    f"PATCH {M}/{{member_id}}": (
        Sample(says(given_name="Newly", family_name="Named"), "member"),
        Sample(lambda t: {"email": _fresh()}, "member", also="member.change_login"),
    ),
    f"DELETE {M}/{{member_id}}": (Sample(group="member"),),
    f"POST {M}/{{member_id}}/disable": (Sample(group="member"),),
    f"GET {M}/{{member_id}}/left-behind": (Sample(group="person"),),
    f"POST {M}/{{member_id}}/enable": (Sample(group="member"),),
    f"POST {M}/{{member_id}}/confirm": (Sample(group="member"),),
    f"POST {M}/{{member_id}}/resend-verification": (Sample(group="member"),),
    f"POST {M}/{{member_id}}/reset-password": (Sample(group="member"),),
    f"POST {M}/{{member_id}}/reset-pin": (
        Sample(group="member", ids={"member_id": "loginless_id"}),
    ),
    f"POST {M}/{{member_id}}/reset-mfa": (Sample(group="member"),),
    f"POST {M}/{{member_id}}/end-sessions": (Sample(group="member"),),
    f"POST {M}/{{member_id}}/login-as": (Sample(says(reason="a test"), "enter"),),
    f"GET {O}/ownership-transfers": (Sample(),),
    f"POST {O}/ownership-transfers": (
        Sample(lambda t: {"member_id": t.thing("member_id"), "reason": "a test"}, "owner"),
    ),
    f"POST {O}/ownership-transfers/{{transfer_id}}/accept": (Sample(group="accept"),),
    f"DELETE {O}/ownership-transfers/{{transfer_id}}": (Sample(group="owner"),),
    f"GET {O}/remote-support": (Sample(),),
    f"POST {O}/remote-support": (Sample(says(reason="a test"), "support"),),
    f"POST {O}/remote-support/{{grant_id}}/approve": (Sample(says(), "support"),),
    f"POST {O}/remote-support/{{grant_id}}/enter": (Sample(says(reason="a test"), "support"),),
    f"DELETE {O}/remote-support/{{grant_or_session_id}}": (
        Sample(group="support", ids={"grant_or_session_id": "grant_id"}),
    ),
    "GET /v1/remote-support": (Sample(),),
    "GET /v1/api-keys": (Sample(),),
    "POST /v1/api-keys": (Sample(lambda t: {"name": "a key", "scopes": ["audit:read"]}, "own"),),
    "POST /v1/api-keys/{key_id}/adopt": (Sample(group="own"),),
    "POST /v1/api-keys/{key_id}/rotate": (Sample(says(), "own"),),
    "DELETE /v1/api-keys/{key_id}": (Sample(group="own"),),
    "POST /v1/pins/verify": (
        Sample(
            lambda t: {
                "organization_id": t.id,
                "extension": t.thing("extension"),
                "pin": t.thing("pin"),
            },
            "own",
        ),
    ),
    "DELETE /v1/sessions": (Sample(group="own"),),
    "GET /v1/me/authenticators": (Sample(group="own"),),
    "POST /v1/me/totp": (Sample(group="own"),),
    "DELETE /v1/me/totp/{authenticator_id}": (Sample(group="own"),),
    "POST /v1/me/recovery-codes": (Sample(group="own"),),
    "POST /v1/me/totp/confirm": (Sample(says(otp="123456"), "own"),),
    "DELETE /v1/me/totp": (Sample(group="own"),),
    "POST /v1/me/step-up": (Sample(says(password=PASSWORD), "own"),),
    "POST /v1/me/password": (
        Sample(says(password=PASSWORD, new_password="seven loud herons sing"), "own"),
    ),
    "POST /v1/verifications/{token}/renewal": (Sample(group="public"),),
}
