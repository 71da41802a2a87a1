"""What is kept so that the database alone gives nothing away."""

import base64
import hashlib
import hmac
import secrets

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class Sealer:
    """Keys made from the service's pepper. What is sealed or digested for one (``whose``) is worth
    nothing for another."""

    def __init__(self, pepper: str) -> None:
        self._cipher = AESGCM(_key(pepper, b"seal"))
        self._digests = _key(pepper, b"digest")

    def seal(self, text: str, *, whose: str) -> str:
        """The text, encrypted."""
        nonce = secrets.token_bytes(12)
        return base64.b64encode(
            nonce + self._cipher.encrypt(nonce, text.encode(), whose.encode())
        ).decode()

    def open(self, sealed: str, *, whose: str) -> str:
        """The text again. Raises cryptography's InvalidTag where it was sealed for somebody else,
        or by another pepper."""
        raw = base64.b64decode(sealed)
        return self._cipher.decrypt(raw[:12], raw[12:], whose.encode()).decode()

    def digest(self, text: str, *, whose: str) -> bytes:
        """What is kept of a secret that only has to be recognised."""
        return hmac.digest(
            self._digests, f"{whose}\n{text}".encode("utf-8", "surrogatepass"), hashlib.sha256
        )


def _key(pepper: str, what: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"membership " + what).derive(
        pepper.encode()
    )
