"""What is said about usage: by what rates calls and meters services, which is no service of
ours."""

from dataclasses import dataclass
from typing import ClassVar

from contracts.message import Message


@dataclass(frozen=True, kw_only=True)
class Recorded(Message):
    """A customer used something and is to be charged ``amount``, a decimal string in the account's
    currency.

    ``id``: the sayer's own, 1 to 128 visible ASCII characters; it counts once per provider for ever, whoever sends it
    by whatever way. ``at``: when it was used, RFC 3339; ``cost``: what it costs the provider; ``admission``: ``limit``
    (refused when the account can't cover it) or ``always`` (it has already happened). It is answered only when it is
    refused: ``billing.usage_refused.v1``."""

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
