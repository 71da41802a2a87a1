"""Usage, published by systems outside this one that rate calls and meter services."""

from dataclasses import dataclass
from typing import ClassVar

from contracts.message import Message


@dataclass(frozen=True, kw_only=True)
class Recorded(Message):
    """A customer used something and is charged ``amount``, a decimal string in the account's
    currency.

    ``id``: chosen by the producer, 1 to 128 visible ASCII characters. It counts permanently once
    per provider, however and by whom it is sent. ``at``: when it was used, RFC 3339, from 400 days
    ago to an hour ahead; ``cost``: what it costs the provider; ``admission``: ``limit`` (refused if
    the account cannot cover it) or ``always`` (it has already happened). Only a refusal is
    answered, with ``billing.usage_refused.v1``; an invalid record becomes a dead letter."""

    provider_id: str
    organization_id: str
    id: str
    amount: str
    at: str
    description: str
    cost: str | None = None
    admission: str | None = None

    TYPE: ClassVar[str] = "usage.recorded.v1"
    CONSUMERS: ClassVar[tuple[str, ...]] = ("billing",)
    ORDERED: ClassVar[bool] = False
