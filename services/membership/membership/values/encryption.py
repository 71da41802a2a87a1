"""Encryption and keyed digests of stored secrets: the database alone reveals nothing."""

import base64
import hashlib
import hmac
import secrets

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class Encryption:
    """Uses keys derived from the service's pepper. What is encrypted or digested for one ``owner``
    is useless for another."""

    def __init__(self, pepper: str) -> None:
        self._cipher = AESGCM(_key(pepper, b"seal"))
        self._digests = _key(pepper, b"digest")

    def encrypt(self, text: str, *, owner: str) -> str:
        """The text in base64: nonce, ciphertext and tag."""
        nonce = secrets.token_bytes(12)
        return base64.b64encode(
            nonce + self._cipher.encrypt(nonce, text.encode(), owner.encode())
        ).decode()

    def decrypt(self, encrypted: str, *, owner: str) -> str:
        """The text again. Raises cryptography's InvalidTag if it was encrypted for another owner or
        with another pepper."""
        raw = base64.b64decode(encrypted)
        return self._cipher.decrypt(raw[:12], raw[12:], owner.encode()).decode()

    def digest(self, text: str, *, owner: str) -> bytes:
        """A digest to store of a secret that only has to be recognized."""
        return hmac.digest(
            self._digests, f"{owner}\n{text}".encode("utf-8", "surrogatepass"), hashlib.sha256
        )


def _key(pepper: str, what: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"membership " + what).derive(
        pepper.encode()
    )
