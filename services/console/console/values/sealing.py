"""What only a browser's cookie opens."""

import json
import secrets
from hashlib import sha256
from typing import Any

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

_HEADER = {"alg": "dir", "enc": "A256GCM"}


def new_secret() -> str:
    """A cookie: 256 bits."""
    return secrets.token_urlsafe(32)


def seal(secret: str, value: Any) -> str:
    """The value, readable only with this cookie."""
    return str(jwe.encrypt_compact(dict(_HEADER), json.dumps(value).encode(), _key(secret)))


def unseal(secret: str, sealed: str) -> Any:
    """What ``seal`` sealed. Raises joserfc's error for another cookie."""
    return json.loads(jwe.decrypt_compact(sealed, _key(secret)).plaintext or b"")


def opens(secret: str, sealed: str) -> Any:
    """As ``unseal``; None for what another cookie sealed, or what was never sealed at all."""
    try:
        return unseal(secret, sealed)
    except (JoseError, ValueError):
        return None


def _key(secret: str) -> OctKey:
    return OctKey.import_key(sha256(b"clientele console seal\0" + secret.encode()).digest())
