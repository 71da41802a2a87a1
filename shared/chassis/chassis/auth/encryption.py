"""Encryption of stored values, with keys derived from secrets that can be replaced."""

import base64
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12


class DecryptionError(ValueError):
    """The value was changed, or encrypted for another owner, purpose or secret."""


def derive_key(secret: str, purpose: str) -> bytes:
    """A 256-bit key. Each purpose gets a key of its own from the same secret."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(
        secret.encode()
    )


class Encryption:
    """AES-256-GCM. Encrypts with the first secret and decrypts with any, so that a secret can be
    replaced while values encrypted with the previous one are still stored.

    ``owner`` is authenticated: what was encrypted for one owner cannot be decrypted for another.
    """

    def __init__(self, *secrets: str, purpose: str) -> None:
        self._ciphers = [AESGCM(derive_key(secret, purpose)) for secret in secrets]

    def encrypt(self, text: str, *, owner: str = "") -> str:
        """The encrypted text: base64 of the nonce and the ciphertext."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[0].encrypt(nonce, text.encode(), owner.encode())
        return base64.urlsafe_b64encode(nonce + sealed).decode()

    def decrypt(self, encrypted: str, *, owner: str = "") -> str:
        """The text. Raises DecryptionError."""
        raw = _decode(encrypted)
        for cipher in self._ciphers:
            try:
                sealed = raw[_NONCE_BYTES:]
                return cipher.decrypt(raw[:_NONCE_BYTES], sealed, owner.encode()).decode()
            except (InvalidTag, ValueError):
                continue
        raise DecryptionError("the value cannot be decrypted")

    def rotate(self, encrypted: str, *, owner: str = "") -> str:
        """The same text encrypted with the first secret; unchanged while there is only one. Raises
        DecryptionError."""
        if len(self._ciphers) == 1:
            return encrypted
        return self.encrypt(self.decrypt(encrypted, owner=owner), owner=owner)


def _decode(encrypted: str) -> bytes:
    """Base64 in either alphabet, in the one spelling that encoding gives."""
    text = encrypted.replace("+", "-").replace("/", "_")
    try:
        raw = base64.urlsafe_b64decode(text)
    except ValueError as problem:
        raise DecryptionError("the value is not base64") from problem
    if base64.urlsafe_b64encode(raw).decode() != text:
        raise DecryptionError("the value is not base64")
    return raw
