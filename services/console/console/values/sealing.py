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
    """The value, readable only with this cookie."""
    return Encryption(secret, purpose=_PURPOSE).encrypt(json.dumps(value))


def unseal(secret: str, sealed: str) -> Any:
    """The value that ``seal`` was given. Raises DecryptionError for another cookie."""
    if sealed.count(".") == 4:
        return _unseal_jwe(secret, sealed)
    return json.loads(Encryption(secret, purpose=_PURPOSE).decrypt(sealed))


def opens(secret: str, sealed: str) -> Any:
    """As ``unseal``, but None for what was sealed by another cookie or not at all."""
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
