"""Membership's settings."""

import argparse
import dataclasses
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from chassis.errors import Invalid
from chassis.runtime.settings import Misconfigured, Secret, ServiceSettings, load, needed_by

from membership import clients
from membership.values import passwords


@dataclass(frozen=True, kw_only=True)
class Settings(ServiceSettings):
    """``signing_key``: Ed25519 in PEM. The public half of ``previous_signing_key`` stays published
    while tokens signed by it live. ``pepper``: hashes PINs and encrypts the secrets of one-time
    codes; without it both are lost. What was stored under ``previous_pepper`` still works.
    ``mail_url``: ``file:///directory``, ``smtps://[user:password@]host:port`` or
    ``smtp://[user:password@]host:port``, which demands STARTTLS unless the host is this machine.
    ``public_url``: the start of the links in emails.

    Sessions end after so many minutes, without use and in all. Login failures are limited per
    client network."""

    signing_key: Secret = needed_by("web")
    previous_signing_key: Secret = needed_by("web", default=Secret(""))
    pepper: Secret = needed_by("web", "reencrypt")
    previous_pepper: Secret = needed_by("web", "reencrypt", default=Secret(""))
    mail_url: Secret = needed_by("tick")
    mail_from: str = "clientele@localhost"
    public_url: str
    clientele_admin_email: str = "admin@example.com"
    clientele_admin_password: Secret = needed_by("bootstrap", default=Secret(""))
    clientele_provider_name: str = "My Company"
    staff_session_idle_minutes: int = 30
    staff_session_minutes: int = 12 * 60
    customer_session_idle_minutes: int = 60
    customer_session_minutes: int = 24 * 60
    sessions_per_identity: int = 10
    login_failures_in_5_minutes: int = 20
    login_failures_in_an_hour: int = 100

    def __post_init__(self) -> None:
        """Raise Misconfigured unless emails can be sent to ``mail_url``."""
        try:
            if self.mail_url:
                clients.post(self.mail_url)
        except ValueError as problem:
            raise Misconfigured(str(problem)) from None

    @property
    def peppers(self) -> list[str]:
        """The pepper and, while it is being replaced, the previous one."""
        return [pepper for pepper in (self.pepper, self.previous_pepper) if pepper]

    def first_password(self) -> str:
        """The password of the first login: the given one, to which the rules for passwords apply,
        or a new one. Raises Misconfigured."""
        password = self.clientele_admin_password
        if not password:
            return secrets.token_urlsafe(12)
        known = (self.clientele_provider_name, self.clientele_admin_email)
        try:
            passwords.check(password, context=known)
        except Invalid as refusal:
            reason = refusal.extra["errors"][0]["detail"]
            raise Misconfigured(f"CLIENTELE_ADMIN_PASSWORD: {reason}") from None
        return password


def from_arguments(arguments: Sequence[str]) -> tuple[Settings, bool]:
    """The settings for ``bootstrap``, and whether to create another provider. The command line
    overrides the environment."""
    parser = argparse.ArgumentParser(prog="python -m membership bootstrap")
    parser.add_argument("--name", dest="clientele_provider_name", help="the provider's name")
    parser.add_argument("--email", dest="clientele_admin_email", help="the owner's address")
    parser.add_argument("--further", action="store_true", help="create another provider")
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value}
    further = given.pop("further", False)
    return dataclasses.replace(load(Settings, "bootstrap"), **given), further
