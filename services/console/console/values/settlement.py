"""What settled an invoice: money, credits, write-offs."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from console.values.labels import sign


def credited(invoice: Mapping[str, Any]) -> str:
    """What was credited without being written off."""
    return f"{Decimal(invoice['credited']) - Decimal(invoice['written_off']):f}"


def state(invoice: Mapping[str, Any]) -> str:
    """Its status, and instead of ``paid`` what settled it if that was not only money."""
    if invoice["status"] != "paid":
        return str(invoice["status"])
    settled = {
        "paid": invoice["paid"],
        "credited": credited(invoice),
        "written_off": invoice["written_off"],
    }
    kinds = [kind for kind, amount in settled.items() if sign(amount)]
    return kinds[0] if len(kinds) == 1 else "settled"
