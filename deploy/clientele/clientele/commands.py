"""The operator's commands."""

import os
import subprocess
import sys
from pathlib import Path

import click

ROOT = Path(__file__).parents[3]
PACKAGES = ("services", "shared", "deploy", "tools")


@click.group()
def main() -> None:
    """Run Clientele on one machine."""


@main.command()
def run() -> None:
    """Start everything in one process: data in CLIENTELE_DATA (./var), port CLIENTELE_PORT
    (8080)."""
    from clientele import embedded, installation

    embedded.run(installation.from_environment())


@main.command()
@click.option("--name", required=True, help="Name of the provider.")
@click.option(
    "--email",
    required=True,
    help="Email of its owner. Someone who already has a login keeps their password.",
)
def bootstrap(name: str, email: str) -> None:
    """Add another provider to the embedded system in CLIENTELE_DATA and print its login."""
    from chassis.errors import Conflict

    from clientele import embedded, installation

    at = installation.from_environment()
    try:
        click.echo(embedded.add_provider(at, name, email))
    except Conflict as problem:
        raise click.ClickException(problem.detail) from None


@main.command(name="assets")
def fetch_assets() -> None:
    """Fetch the files of others that the console's pages load in the browser."""
    from clientele import assets

    try:
        click.echo(assets.fetch() or "Browser files: as locked.")
    except assets.Mismatch as problem:
        raise click.ClickException(str(problem)) from None


@main.command()
def check() -> None:
    """Check style, types and imports; needs the development tools."""
    projects = [
        p.parent for part in PACKAGES for p in sorted((ROOT / part).glob("*/pyproject.toml"))
    ]
    packages = [str(project / project.name) for project in projects]
    for command in (
        ["ruff", "check", "--quiet", "."],
        ["ruff", "format", "--check", "--quiet", "."],
        ["mypy", *packages],
        ["lint-imports", "--no-cache"],
    ):
        result = subprocess.run(  # noqa: S603 - our own tools
            [str(Path(sys.executable).parent / command[0]), *command[1:]],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, projects))},
            check=False,
            text=True,
            capture_output=True,
        )
        name = " ".join(command[:2]) if command[0] == "ruff" else command[0]
        if result.returncode:
            raise click.ClickException(f"{name}:\n{result.stdout}{result.stderr}")
        click.echo(f"{name}: clean")
