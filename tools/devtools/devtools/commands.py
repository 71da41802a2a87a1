"""The commands behind ``make demo``, ``make processes``, ``make docs`` and ``make migration``."""

import sys
import tempfile
from pathlib import Path

import alembic.command
import click
from chassis.db import migrations
from clientele import embedded

from devtools import demo, docs, processes


@click.group()
def main() -> None:
    """Tools for working on Clientele."""


@main.command(name="docs")
def write_docs() -> None:
    """Regenerate the generated pages of docs/; prints those that changed."""
    for page in docs.write():
        click.echo(page)


@main.command(name="migration")
@click.argument("service", type=click.Choice([s.name for s in embedded.SERVICES]))
@click.argument("name")
def write_migration(service: str, name: str) -> None:
    """Write the next migration of SERVICE: what its models have and its migrations lack."""
    folder = next(s for s in embedded.SERVICES if s.name == service).migrations
    number = f"{len(list((folder / 'versions').glob('0*.py'))) + 1:04d}"
    with tempfile.TemporaryDirectory() as scratch:
        url = f"sqlite:///{scratch}/scratch.db"
        migrations.upgrade(folder, url)
        config = migrations.config(folder, url)
        alembic.command.revision(config, message=name, autogenerate=True, rev_id=number)
    (folder / "HEAD").write_text(f"{number}\n")


@main.command(name="processes")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("var/processes"),
    show_default=True,
    help="Where logs and mail go.",
)
def run_processes(folder: Path) -> None:
    """Run the distributed mode as plain processes on private servers."""
    processes.run(folder.resolve())


@main.command(name="demo")
@click.option(
    "--base-url",
    envvar="BASE_URL",
    help="Address of a running system. Without it, one is started for the demo.",
)
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    default="examples/customers.csv",
    show_default=True,
    help="CSV file of customers to load.",
)
@click.option("--load/--no-load", default=True, help="Whether to load the customers.")
def run_demo(base_url: str | None, file: Path, load: bool) -> None:
    """Load example customers, then walk through the life of one over the public API."""
    sys.exit(demo.run(base_url, file if load else None))
