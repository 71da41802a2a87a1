"""The service and its parts."""

import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from chassis.db.database import Database
from chassis.errors import Invalid
from chassis.runtime import clock, service
from chassis.runtime.settings import Misconfigured

from membership import jobs, listeners, queries
from membership.actions import providers
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
    password = _first_password(settings)
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
    password = _first_password(settings)
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


def _first_password(settings: Settings) -> str:
    """The password of the settings, to which the rules for passwords apply, or a generated one."""
    password = settings.clientele_admin_password
    if not password:
        return secrets.token_urlsafe(12)
    known = (settings.clientele_provider_name, settings.clientele_admin_email)
    try:
        passwords.check(password, context=known)
    except Invalid as refusal:
        reason = refusal.extra["errors"][0]["detail"]
        raise Misconfigured(f"CLIENTELE_ADMIN_PASSWORD: {reason}") from None
    return password


def bootstrap_command(arguments: Sequence[str]) -> None:
    """``python -m membership bootstrap``: create the provider and print its owner's login, once."""
    try:
        settings, further = from_arguments(arguments)
        database = Database(settings.database_url, pool_size=1)
        login = add_provider(settings, database) if further else bootstrap(settings, database)
    except Misconfigured as problem:
        sys.exit(f"membership bootstrap: {problem}")
    print(login.sentence() if login else "There is already a provider.")  # noqa: T201 - the command's output
