"""The service and its parts."""

import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from chassis.db.database import Database
from chassis.errors import Failure
from chassis.runtime import clock, notifications, service
from chassis.runtime.settings import Misconfigured, load

from membership import jobs, listeners, queries
from membership.actions import providers, recovery
from membership.config import Settings, from_arguments
from membership.values import passwords
from membership.values.first_login import FirstLogin

SERVICE = service.Service(
    name="membership",
    settings=Settings,
    web="membership.web",
    listeners=listeners.LISTENERS,
    jobs=jobs.JOBS,
    migrations=Path(__file__).parent / "migrations",
)


def bootstrap(settings: Settings, database: Database) -> FirstLogin | None:
    """Create the provider and its owner on the first run; None if there is one. Raises
    Misconfigured."""
    with database.reading() as session:
        if queries.has_provider(session):
            return None
    password = settings.first_password()
    password_hash = passwords.Hasher().hash(password)
    with database.transaction() as session:
        created = providers.ensure_provider(
            session,
            name=settings.clientele_provider_name,
            email=settings.clientele_admin_email,
            now=clock.now(),
            password_hash=password_hash,
            **providers.DEFAULTS,
        )
    shown = None if settings.clientele_admin_password else password
    return FirstLogin(settings.clientele_admin_email, shown) if created else None


def add_provider(settings: Settings, database: Database) -> FirstLogin:
    """Create another provider and its owner. Raises Misconfigured and ProviderExists."""
    password = settings.first_password()
    password_hash = passwords.Hasher().hash(password)
    with database.transaction() as session:
        is_new = providers.add_provider(
            session,
            name=settings.clientele_provider_name,
            email=settings.clientele_admin_email,
            now=clock.now(),
            password_hash=password_hash,
            **providers.DEFAULTS,
        )
    shown = password if is_new and not settings.clientele_admin_password else None
    return FirstLogin(settings.clientele_admin_email, shown)


def reset_mfa(database: Database, email: str) -> str:
    """Turn off the one-time codes of this login; what to tell the operator. Raises NoSuchLogin and
    CodesAreOff."""
    unknown_hash = passwords.Hasher().hash(secrets.token_urlsafe(32))
    with database.transaction() as session:
        too_short = recovery.reset_codes(
            session, email=email, unknown_hash=unknown_hash, now=clock.now()
        )
    then = " Their password is too short without codes and must be reset." if too_short else ""
    return f"One-time codes of {email} are off, and their sessions have ended.{then}"


def bootstrap_command(arguments: Sequence[str]) -> None:
    """``python -m membership bootstrap``: create the provider and print its owner's login, once."""
    try:
        settings, further = from_arguments(arguments)
        database = Database(settings.database_url, pool_size=1)
        add = add_provider if further else bootstrap
        login = add(settings, database)
    except Misconfigured as problem:
        sys.exit(f"membership bootstrap: {problem}")
    print(login.sentence() if login else "There is already a provider.")  # noqa: T201 - the command's output


def operator_command(words: Sequence[str]) -> None:
    """``python -m membership reset-mfa EMAIL`` or ``python -m membership reencrypt``."""
    if len(words) != (2 if words[0] == "reset-mfa" else 1):
        sys.exit("usage: python -m membership reset-mfa EMAIL | reencrypt")
    try:
        settings = load(Settings, words[0])
        database = notifications.database(settings.database_url, 1)
        is_reset = words[0] == "reset-mfa"
        print(reset_mfa(database, words[1]) if is_reset else jobs.reencrypt(database, settings))  # noqa: T201 - the command's output
    except (Misconfigured, Failure) as problem:
        sys.exit(f"membership {words[0]}: {problem}")
