"""Signing of access tokens, and the public keys to verify them."""

from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey

ALGORITHM = "Ed25519"


class Signer:
    """Signs with the current key; also publishes the previous one while its tokens live. Raises
    ValueError for unusable keys."""

    def __init__(self, key: str, previous: str = "") -> None:
        self._key = _import(key)
        if not self._key.is_private:
            raise ValueError("the signing key must be a private key")
        keys = [self._key]
        if previous:
            keys.append(_import(previous))
        self._public = [_public(public) for public in keys]

    def sign(self, claims: Mapping[str, Any]) -> str:
        """The claims as a signed access token."""
        header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": self._key.thumbprint()}
        return jwt.encode(header, dict(claims), self._key, algorithms=[ALGORITHM])

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK set."""
        return {"keys": self._public}

    def key_set(self, *, fresh: bool = False) -> KeySet:
        """The public keys, to verify tokens in this service."""
        return KeySet.import_key_set(self.jwks())  # type: ignore[arg-type]


def _import(pem: str) -> OKPKey:
    key = OKPKey.import_key(pem.replace("\\n", "\n"))
    if key.curve_name != "Ed25519":
        raise ValueError("the signing key must be an Ed25519 key")
    return key


def _public(key: OKPKey) -> dict[str, Any]:
    return {**key.as_dict(private=False), "alg": ALGORITHM, "use": "sig", "kid": key.thumbprint()}
