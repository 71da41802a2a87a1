"""What access tokens are made of."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc.jwk import OKPKey


@dataclass(frozen=True)
class Mint:
    """What tokens are made of. ``key``: the issuer's own, so that a table can also ask what we
    would believe if it were signed by us; ``good``: a token as it was issued; ``now``: the time at
    every door."""

    key: OKPKey
    good: str
    now: float
    kid: str = field(init=False)
    claims: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kid", self.key.thumbprint())
        object.__setattr__(self, "claims", json.loads(decoded(self.good.split(".")[1])))

    @property
    def header(self) -> dict[str, Any]:
        return {"alg": "Ed25519", "typ": "at+jwt", "kid": self.kid}

    def body(self, **changes: Any) -> dict[str, Any]:
        """The claims with changes; what is ABSENT is left out."""
        return {
            name: value for name, value in {**self.claims, **changes}.items() if value is not ABSENT
        }

    def under(
        self, header: Mapping[str, Any] | bytes, claims: Any = None, *, key: Any = None
    ) -> str:
        """Any header and claims (as JSON, or as these very bytes), with a true signature of our
        key, or of another."""
        signed = f"{part(header)}.{part(self.claims if claims is None else claims)}"
        return f"{signed}.{part((key or self.key).private_key.sign(signed.encode()))}"

    def with_claims(self, **changes: Any) -> str:
        """Our header and signature over other claims."""
        return self.under(self.header, self.body(**changes))

    def with_header(self, **changes: Any) -> str:
        """Our signature under another header."""
        return self.under({n: v for n, v in {**self.header, **changes}.items() if v is not ABSENT})

    def public(self) -> dict[str, Any]:
        return dict(self.key.as_dict(private=False))


ABSENT: Any = object()
Attack = Callable[[Mint], str]


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
