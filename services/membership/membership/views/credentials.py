"""How people prove who they are at this door, and how wrong guesses are counted."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from chassis import errors
from chassis.http import context, idempotency, requests
from chassis.runtime import clock

from membership import queries
from membership.actions import attempts
from membership.actions.logins import Attempt
from membership.values import attempt_limits, networks, passwords
from membership.values.encryption import Sealer
from membership.views import resources

T = TypeVar("T")


def attempt(email: str, password: str, otp: str | None) -> Attempt:
    """The caller's attempt to prove that they are who has that address; the password is compared
    before any lock is taken. Raises TooManyAttempts."""
    limits, hasher = _limits(), resources.hasher()
    with context.database().reading() as session:
        login = queries.login(session, email, client(), limits, clock.now())
    attempts.stop(login.wait)
    matched = hasher.matches(login.password_hash, password)
    dated = matched and login.password_hash is not None and hasher.is_dated(login.password_hash)
    return Attempt(
        login=login,
        matched=matched,
        is_short=passwords.is_short(password),
        otp=otp,
        client=client(),
        limits=limits,
        new_hash=hasher.hash(password) if dated else None,
        sealer=sealer(),
    )


def settled(outcome: T | errors.Failure) -> T:
    """The outcome, or the refusal raised whose count is committed by now."""
    if isinstance(outcome, errors.Failure):
        raise outcome
    return outcome


@contextmanager
def looking_up() -> Iterator[None]:
    """Something is looked up by a secret in here. Whoever comes with too many that lead nowhere
    gets no answer for a while: raises TooManyAttempts."""
    limits = attempt_limits.of_look_ups(client())
    with context.database().reading() as session:
        attempts.stop(queries.rest(session, limits, clock.now()))
    try:
        yield
    except (errors.NotFound, errors.Unauthenticated):
        idempotency.retried(
            lambda session: attempts.count_all(session, limits=limits, now=clock.now())
        )
        raise


def client() -> bytes:
    """The network the caller comes from."""
    return networks.digest(requests.client_address())


def sealer() -> Sealer:
    """How secrets are kept."""
    return Sealer(context.settings().pepper)


def _limits() -> attempt_limits.Limits:
    settings = context.settings()
    return attempt_limits.of_logins(
        client(),
        in_5_minutes=settings.login_failures_in_5_minutes,
        in_an_hour=settings.login_failures_in_an_hour,
    )
