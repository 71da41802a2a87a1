"""The caller's credentials, network and browser, and the limits on failed attempts."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from chassis import errors
from chassis.http import context, idempotency, requests
from chassis.runtime import clock
from flask import request

from membership import queries
from membership.actions import attempts
from membership.actions.logins import LoginAttempt
from membership.values import attempt_limits, passwords
from membership.values.attempt_limits import Limits
from membership.values.clients import Client
from membership.values.encryption import Encryption
from membership.views import resources

T = TypeVar("T")


def attempt(email: str, password: str, otp: str | None) -> LoginAttempt:
    """The caller's attempt to authenticate. The password is compared before any lock is taken.
    Raises TooManyAttempts."""
    limits, hasher = _login_limits(), resources.hasher()
    with context.database().reading() as session:
        login = queries.login(session, email, client(), limits, clock.now())
    attempts.check_wait(login.wait)
    matched = hasher.matches(login.password_hash, password)
    new_hash = None
    if matched and login.password_hash is not None and hasher.needs_rehash(login.password_hash):
        new_hash = hasher.hash(password)
    return LoginAttempt(
        login=login,
        matched=matched,
        is_short=passwords.is_short(password),
        otp=otp,
        client=client(),
        limits=limits,
        new_hash=new_hash,
        encryption=encryption(),
    )


def raise_failure(outcome: T | errors.Failure) -> T:
    """The outcome of an attempt. A failure is raised only now that its count is committed."""
    if isinstance(outcome, errors.Failure):
        raise outcome
    return outcome


@contextmanager
def throttled(kind: str) -> Iterator[None]:
    """Counts invalid secrets of a kind (refresh, key, link) for the caller's network. Raises
    TooManyAttempts in place of the error where there were too many; a valid secret passes."""
    try:
        yield
    except (errors.NotFound, errors.Unauthenticated):
        limits = attempt_limits.secret_limits(kind, client().network)
        with context.database().reading() as session:
            attempts.check_wait(queries.seconds_blocked(session, limits, clock.now()))
        idempotency.retried(
            lambda session: attempts.count_failure(session, limits=limits, now=clock.now())
        )
        raise


def check_use(limits: Limits) -> None:
    """Count a request that costs much even if it succeeds. Raises TooManyRequests."""
    idempotency.retried(lambda session: attempts.check_use(session, limits=limits, now=clock.now()))


def client() -> Client:
    """The caller's network and browser."""
    return Client.of(requests.client_address(), request.headers.get("X-Browser-Id", ""))


def encryption() -> Encryption:
    """The encryption of stored secrets."""
    return Encryption(*context.settings().peppers)


def _login_limits() -> Limits:
    settings = context.settings()
    return attempt_limits.login_limits(
        client().network,
        in_5_minutes=settings.login_failures_in_5_minutes,
        in_an_hour=settings.login_failures_in_an_hour,
    )
