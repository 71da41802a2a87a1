"""Charges, usage and balances by the models of hordak."""

import json
from functools import cache
from typing import Any

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET, require_POST
from hordak.models import Account, Leg, Transaction
from moneyed import Money

CURRENCY = "SGD"
INCOME = "INCOME"
PAGE = 50


@cache
def _income() -> Account:
    return Account.objects.get(full_code=INCOME)


@require_POST
def charge(request: HttpRequest, account_id: int) -> JsonResponse:
    """Move an amount from a customer's account to the income."""
    body = json.loads(request.body)
    account = get_object_or_404(Account, pk=account_id)
    posted = _income().transfer_to(
        account, Money(body["amount"], CURRENCY), description=body["description"]
    )
    return JsonResponse({"id": str(posted.uuid), "account": account.pk, **body}, status=201)


@require_POST
def record_usage(request: HttpRequest) -> JsonResponse:
    """Move an amount from each customer's account to the income, all in one transaction of the
    database; many rows at once, as hordak's own command for many transactions does."""
    records = json.loads(request.body)["records"]
    accounts = Account.objects.in_bulk({record["account"] for record in records})
    transactions, legs = [], []
    for record in records:
        amount = Money(record["amount"], CURRENCY)
        posted = Transaction(description=record["description"])
        transactions.append(posted)
        legs.append(Leg(transaction=posted, account=_income(), credit=amount))
        legs.append(Leg(transaction=posted, account=accounts[record["account"]], debit=amount))
    with transaction.atomic():
        Transaction.objects.bulk_create(transactions)
        Leg.objects.bulk_create(legs)
    return JsonResponse({"accepted": len(transactions)})


@require_GET
def read_account(_request: HttpRequest, account_id: int) -> JsonResponse:
    """The account's name and balance."""
    return JsonResponse(_shown(get_object_or_404(Account.objects.with_balances(), pk=account_id)))


@require_GET
def list_accounts(_request: HttpRequest) -> JsonResponse:
    """The first accounts with their balances, in the order of their codes."""
    accounts = Account.objects.with_balances().order_by("full_code")[:PAGE]
    return JsonResponse({"items": [_shown(account) for account in accounts]})


def _shown(account: Account) -> dict[str, Any]:
    return {
        "id": account.pk,
        "code": account.full_code,
        "name": account.name,
        "balance": [
            {"amount": str(part.amount), "currency": part.currency.code}
            for part in account.balance.monies()
        ],
    }
