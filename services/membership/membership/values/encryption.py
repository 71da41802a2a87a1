"""Encryption and keyed digests of stored secrets: the database alone reveals nothing."""

import hashlib
import hmac

from chassis.auth import encryption


class Encryption(encryption.Encryption):
    """Uses keys derived from the service's pepper. What is encrypted or digested for one ``owner``
    is useless for another. What was stored under a previous pepper is still recognized."""

    def __init__(self, pepper: str, *previous: str) -> None:
        super().__init__(pepper, *previous, purpose="membership seal")
        self._digest_keys = [
            encryption.derive_key(secret, "membership digest") for secret in (pepper, *previous)
        ]

    def digest(self, text: str, *, owner: str) -> bytes:
        """A digest to store of a secret that only has to be recognized."""
        return self.digests(text, owner=owner)[0]

    def digests(self, text: str, *, owner: str) -> list[bytes]:
        """The digest under each pepper, the current one first."""
        message = f"{owner}\n{text}".encode("utf-8", "surrogatepass")
        return [hmac.digest(key, message, hashlib.sha256) for key in self._digest_keys]
