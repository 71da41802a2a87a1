"""What membership must be told."""

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from chassis.runtime.settings import Secret, ServiceSettings, load


@dataclass(frozen=True, kw_only=True)
class Settings(ServiceSettings):
    """``signing_key``: Ed25519, PEM; the public half of ``previous_signing_key`` stays published while tokens signed
    by it live. ``pepper``: what PINs are mixed and one-time code secrets encrypted with; without it both are lost.
    ``mail_url``: ``file:///directory`` or ``smtp://[user:password@]host:port``. ``public_url``: where the
    links in mails lead. Session times in minutes: after so much rest, and in all. Failures: from one client address."""

    signing_key: Secret
    previous_signing_key: Secret = Secret("")
    pepper: Secret
    mail_url: Secret
    mail_from: str = "clientele@localhost"
    public_url: str
    clientele_admin_email: str = "admin@example.com"
    clientele_admin_password: Secret = Secret("")
    clientele_provider_name: str = "My Company"
    staff_session_idle_minutes: int = 30
    staff_session_minutes: int = 12 * 60
    customer_session_idle_minutes: int = 60
    customer_session_minutes: int = 24 * 60
    sessions_per_identity: int = 10
    login_failures_in_5_minutes: int = 20
    login_failures_in_an_hour: int = 100


def from_arguments(arguments: Sequence[str]) -> tuple[Settings, bool]:
    """The settings for ``bootstrap`` and whether a further provider is wanted; the command line
    goes before the environment."""
    parser = argparse.ArgumentParser(prog="python -m membership bootstrap")
    parser.add_argument("--name", dest="clientele_provider_name", help="the provider's name")
    parser.add_argument("--email", dest="clientele_admin_email", help="the owner's address")
    parser.add_argument(
        "--further", action="store_true", help="a further provider beside the first"
    )
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value}
    further = given.pop("further", False)
    return dataclasses.replace(load(Settings), **given), further
