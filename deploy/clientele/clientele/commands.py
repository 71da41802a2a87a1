"""The operator's commands."""

import click


@click.group()
def main() -> None:
    """Run Clientele on one machine."""


@main.command()
def run() -> None:
    """Start everything in one process: data in CLIENTELE_DATA (./var), port CLIENTELE_PORT
    (8080)."""
    from chassis.runtime.settings import Misconfigured

    from clientele import embedded, installation

    try:
        embedded.run(installation.from_environment())
    except Misconfigured as problem:
        raise click.ClickException(str(problem)) from None


@main.command()
@click.option("--name", required=True, help="Name of the provider.")
@click.option(
    "--email",
    required=True,
    help="Email of its owner. Someone who already has a login keeps their password.",
)
def bootstrap(name: str, email: str) -> None:
    """Add another provider to the embedded system in CLIENTELE_DATA and print its login."""
    from chassis.errors import Conflict, Invalid

    from clientele import embedded, installation

    at = installation.from_environment()
    try:
        click.echo(embedded.add_provider(at, name, email))
    except (Conflict, Invalid) as problem:
        raise click.ClickException(problem.detail) from None


@main.command(name="reset-mfa")
@click.argument("email")
def reset_mfa(email: str) -> None:
    """Turn off the one-time codes of somebody who has lost them, in the embedded system in
    CLIENTELE_DATA. Make sure that they are who they claim to be."""
    from chassis.db.database import Database
    from chassis.errors import Failure
    from membership import app as membership

    from clientele import embedded, installation

    settings = embedded.prepare(installation.from_environment())["membership"]
    database = Database(settings.database_url, pool_size=1)
    try:
        click.echo(membership.reset_mfa(database, email))
    except Failure as problem:
        raise click.ClickException(problem.detail) from None
    finally:
        database.close()


@main.command()
def reencrypt() -> None:
    """Encrypt what is encrypted with the current pepper, in the embedded system in CLIENTELE_DATA,
    after secrets/pepper was renamed to secrets/previous_pepper."""
    from chassis.db.database import Database
    from membership import jobs

    from clientele import embedded, installation

    settings = embedded.prepare(installation.from_environment())["membership"]
    database = Database(settings.database_url, pool_size=1)
    try:
        click.echo(jobs.reencrypt(database, settings))
    finally:
        database.close()


@main.command(name="assets")
def fetch_assets() -> None:
    """Fetch the files of others that the console's pages load in the browser."""
    from clientele import assets

    try:
        click.echo(assets.fetch() or "Browser files: as locked.")
    except assets.Mismatch as problem:
        raise click.ClickException(str(problem)) from None
