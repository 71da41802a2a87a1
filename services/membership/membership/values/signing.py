"""Access tokens: how they are signed, and the public keys others check them with."""

from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey

ALGORITHM = "Ed25519"


class Signer:
    """Our key, and the one before it as long as tokens signed by that may live. Raises ValueError
    for other keys."""

    def __init__(self, key: str, previous: str = "") -> None:
        self._key = _import(key)
        if not self._key.is_private:
            raise ValueError("the signing key must be a private key")
        self._public = [_public(k) for k in (self._key, *([_import(previous)] if previous else []))]

    def sign(self, claims: Mapping[str, Any]) -> str:
        """The claims as a signed access token."""
        header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": self._key.thumbprint()}
        return jwt.encode(header, dict(claims), self._key, algorithms=[ALGORITHM])

    def jwks(self) -> dict[str, Any]:
        """The public keys, as ``/.well-known/jwks.json`` shows them."""
        return {"keys": self._public}

    def key_set(self, *, fresh: bool = False) -> KeySet:
        """The public keys, for our own door."""
        return KeySet.import_key_set(self.jwks())  # type: ignore[arg-type]


def _import(pem: str) -> OKPKey:
    key = OKPKey.import_key(pem.replace("\\n", "\n"))
    if key.curve_name != "Ed25519":
        raise ValueError("the signing key must be an Ed25519 key")
    return key


def _public(key: OKPKey) -> dict[str, Any]:
    return {**key.as_dict(private=False), "alg": ALGORITHM, "use": "sig", "kid": key.thumbprint()}
