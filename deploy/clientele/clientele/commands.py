"""The commands: what people type."""

import subprocess
import sys
import tempfile
from pathlib import Path

import alembic.command
import click
from chassis.db import migrations
from chassis.errors import Conflict

from clientele import assets, demo, docs, embedded
from clientele import processes as fleet


@click.group()
def main() -> None:
    """Clientele, on one machine."""


@main.command()
def run() -> None:
    """Start everything embedded; data in CLIENTELE_DATA (./var), port CLIENTELE_PORT (8080)."""
    embedded.run(embedded.place())


@main.command()
def check() -> None:
    """Style, types and imports; needs the development tools."""
    root = Path(__file__).parents[3]
    folders = ["services", "shared", "deploy"]
    for words in (
        ["ruff", "check", "--quiet", "."],
        ["ruff", "format", "--check", "--quiet", "."],
        [
            "mypy",
            *(str(p.parent) for f in folders for p in sorted((root / f).glob("*/*/__init__.py"))),
        ],
        ["lint-imports", "--no-cache"],
    ):
        done = subprocess.run(  # noqa: S603 - our own tools
            [str(Path(sys.executable).parent / words[0]), *words[1:]],
            cwd=root,
            check=False,
            text=True,
            capture_output=True,
        )
        if done.returncode:
            raise click.ClickException(f"{words[0]}:\n{done.stdout}{done.stderr}")
        click.echo(f"{' '.join(words[:2]) if words[0] == 'ruff' else words[0]}: clean")


@main.command(name="assets")
def fetch() -> None:
    """Fetch what the console's pages load in the browser."""
    try:
        click.echo(assets.fetch() or "Browser files: as the lock has them.")
    except assets.Mismatch as problem:
        raise click.ClickException(str(problem)) from None


@main.command(name="docs")
def write() -> None:
    """Write the generated pages of docs/ anew."""
    for page in docs.write():
        click.echo(page)


@main.command()
@click.argument("service", type=click.Choice([s.name for s in embedded.SERVICES]))
@click.argument("name")
def migration(service: str, name: str) -> None:
    """Write the next migration of SERVICE from the difference between its models and its
    migrations."""
    found = next(s for s in embedded.SERVICES if s.name == service)
    number = f"{len(list((found.migrations / 'versions').glob('0*.py'))) + 1:04d}"
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/scratch.db"
        migrations.upgrade(found.migrations, url)
        alembic.command.revision(
            migrations.config(found.migrations, url), message=name, autogenerate=True, rev_id=number
        )
    (found.migrations / "HEAD").write_text(f"{number}\n")


@main.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("var/processes"),
    help="For logs and mails.",
)
def processes(folder: Path) -> None:
    """Start what docker compose would start, as plain processes on private servers."""
    fleet.run(folder.resolve())


@main.command(name="demo")
@click.option(
    "--base-url",
    envvar="BASE_URL",
    help="A system that runs; without it one is started for the demo.",
)
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    default="examples/customers.csv",
    show_default=True,
    help="The customers to load.",
)
@click.option("--load/--no-load", default=True, help="Whether to load them.")
def tell(base_url: str | None, file: Path, load: bool) -> None:
    """Load example customers and tell the life of one, over the public API."""
    sys.exit(demo.run(base_url, file if load else None))


@main.command()
@click.option("--name", required=True, help="The provider's name.")
@click.option(
    "--email", required=True, help="Its owner's address; somebody known here keeps their password."
)
def bootstrap(name: str, email: str) -> None:
    """Add a further provider to the embedded system in CLIENTELE_DATA, running or not, and print
    its login."""
    try:
        click.echo(embedded.add_provider(embedded.place(), name, email))
    except Conflict as problem:
        raise click.ClickException(problem.detail) from None
