"""Values that only a browser's cookie can decrypt."""

import json
import secrets
from hashlib import sha256
from typing import Any

from chassis.auth.encryption import DecryptionError, Encryption
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

_PURPOSE = "console cookie"


def new_secret() -> str:
    """A cookie: 256 bits."""
    return secrets.token_urlsafe(32)


def seal(secret: str, value: Any) -> str:
    """The value, encrypted with this cookie."""
    return str(jwe.encrypt_compact(dict(_HEADER), json.dumps(value).encode(), _key(secret)))


def unseal(secret: str, sealed: str) -> Any:
    """The decrypted value. Raises joserfc's error for another cookie."""
    return json.loads(jwe.decrypt_compact(sealed, _key(secret)).plaintext or b"")


def opens(secret: str, sealed: str) -> Any:
    """Like ``unseal``; None for a value of another cookie or one that was never encrypted."""
    try:
        return unseal(secret, sealed)
    except DecryptionError:
        return None


def _unseal_jwe(secret: str, sealed: str) -> Any:
    """Reads what was stored as JWE, before chassis.auth.encryption existed."""
    key = OctKey.import_key(sha256(b"clientele console seal\0" + secret.encode()).digest())
    try:
        return json.loads(jwe.decrypt_compact(sealed, key).plaintext or b"")
    except (JoseError, ValueError) as problem:
        raise DecryptionError("the value cannot be decrypted") from problem
