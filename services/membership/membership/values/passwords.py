"""Passwords: which are accepted, and how they are hashed."""

import os
import re
import threading
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import argon2
from chassis import errors
from chassis.http.slots import Busy, Slot, Slots, TooManyAtOnce

from membership.values import common_passwords

MIN_LENGTH, MIN_LENGTH_WITH_CODES, MAX_LENGTH = 15, 8, 128
PRODUCT = "clientele"
CONCURRENCY = 2
# As for PDFs: what takes a processor for long runs after what does not.
NICE = 5
# On zxcvbn's scale of 0 to 4: 3 takes more than 10^8 guesses.
MIN_SCORE = 3
# Characters that are scored. The time grows faster than the length: 72 can take seconds.
_SCORED = 32
_scoring = threading.Lock()


class Hasher:
    """Argon2id. Only ``concurrency`` hashes run at once, in threads of lower priority, so that
    logins do not starve everything else, and ``capacity`` hashes run or wait: further ones are
    refused at once, so that waiting takes up no more threads. Create it after fork."""

    def __init__(
        self,
        *,
        memory_kib: int = 19456,
        passes: int = 2,
        concurrency: int = CONCURRENCY,
        capacity: int = 16,
    ) -> None:
        self._argon2 = argon2.PasswordHasher(
            time_cost=passes, memory_cost=memory_kib, parallelism=1
        )
        self._threads = ThreadPoolExecutor(concurrency, "hashing", _lower_priority)
        self._slots, self.capacity = Slots(capacity), capacity

    def take_slot(self, shares: Mapping[str, int]) -> Slot:
        """A slot for a request that hashes. Raises TooManyAtOnce or Busy."""
        return self._slots.take(shares)

    @cached_property
    def _dummy(self) -> str:
        return self.hash("nobody has this password")

    def hash(self, password: str) -> str:
        """The hash to store."""
        return self._threads.submit(self._argon2.hash, _normalize(password)).result()

    def matches(self, stored: str | None, password: str) -> bool:
        """Whether the password is right. Does the same work when there is no stored hash."""
        dummy = self._dummy  # made at the first comparison, whether there is a stored hash or not
        verified = self._threads.submit(self._argon2.verify, stored or dummy, _normalize(password))
        try:
            return verified.result() and stored is not None
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    def needs_rehash(self, stored: str) -> bool:
        """Whether it was made with outdated parameters."""
        return self._argon2.check_needs_rehash(stored)


def _lower_priority() -> None:
    with suppress(OSError):  # only Linux gives threads priorities of their own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


@dataclass(frozen=True)
class RequestHasher:
    """The hasher as one request may use it. ``shares``: what its hashes count against;
    ``is_known``: whether these are of somebody who is signed in."""

    hasher: Hasher
    shares: Mapping[str, int]
    is_known: bool

    def hash(self, password: str) -> str:
        """The hash to store. Raises TooManyAtOnce or Busy."""
        with self._slot():
            return self.hasher.hash(password)

    def hash_new(
        self, password: str, *, context: Iterable[str], with_codes: bool, pointer: str = "/password"
    ) -> str:
        """The hash of a new password, if it is accepted (see ``check``), in one slot for both: to
        score a password takes as long as to hash it. Raises Invalid, TooManyAtOnce or Busy."""
        with self._slot():
            check(password, context=context, with_codes=with_codes, pointer=pointer)
            return self.hasher.hash(password)

    def matches(self, stored: str | None, password: str) -> bool:
        """Whether the password is right. Raises TooManyAtOnce or Busy, whether it is or not."""
        with self._slot():
            return self.hasher.matches(stored, password)

    def needs_rehash(self, stored: str) -> bool:
        """Whether it was made with outdated parameters."""
        return self.hasher.needs_rehash(stored)

    def _slot(self) -> Slot:
        try:
            return self.hasher.take_slot(self.shares)
        except TooManyAtOnce as problem:
            if self.is_known:
                raise
            # Others of the same network are not to blame: the service is busy for them.
            raise Busy(**problem.extra) from problem


def check(
    password: str, *, context: Iterable[str], with_codes: bool = False, pointer: str = "/password"
) -> None:
    """Raise Invalid unless the password is long enough and hard to guess. ``context``: words that
    someone who knows the person would try."""
    text = _normalize(password)
    min_length = MIN_LENGTH_WITH_CODES if with_codes else MIN_LENGTH
    if not min_length <= len(text) <= MAX_LENGTH:
        raise errors.invalid(
            pointer, "length", f"Choose a password of {min_length} to {MAX_LENGTH} characters."
        )
    folded = text.casefold()
    if common_passwords.is_known(folded) or len(set(folded)) < 5:
        raise errors.invalid(
            pointer,
            "breached",
            "This password is one of the most commonly used. Choose another one.",
        )
    words = _words(context)
    if any(word in folded for word in words):
        raise errors.invalid(
            pointer,
            "guessable",
            "Choose a password that does not contain your name, your email address or your "
            "organization's name.",
        )
    if _score(text, words) < MIN_SCORE:
        raise errors.invalid(
            pointer,
            "guessable",
            "This password is easy to guess. Choose a longer one, for example four words that "
            "have nothing to do with each other.",
        )


def is_short(password: str) -> bool:
    """Whether it is too short to be used without one-time codes."""
    return len(_normalize(password)) < MIN_LENGTH


def _score(text: str, words: Collection[str]) -> int:
    """How hard the password is to guess; of a long one, how hard its beginning is."""
    # Imported here, because its word lists take long to load.
    from zxcvbn import zxcvbn  # type: ignore[import-untyped]

    with _scoring:  # it keeps the words of the person in a global variable
        return int(zxcvbn(text[:_SCORED], user_inputs=list(words))["score"])


def _words(context: Iterable[str]) -> set[str]:
    """The texts and their parts, except those that are too short to matter."""
    words = {PRODUCT}
    for item in context:
        text = _normalize(item).casefold()
        words |= {text, *re.split(r"[\W_]+", text)}
    return {word for word in words if len(word) >= 4}


def _normalize(password: str) -> str:
    return unicodedata.normalize("NFKC", password)
