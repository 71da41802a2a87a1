"""The commands behind ``make check``, ``demo``, ``processes``, ``docs``, ``migration``, ``sbom``
and ``advisories``. Each imports what it needs: most start without the services."""

import json
import sys
import tempfile
from pathlib import Path

import click


@click.group()
def main() -> None:
    """Tools for working on Clientele."""


@main.command()
def check() -> None:
    """Check style, types and imports."""
    from devtools import checks

    for name in checks.COMMANDS:
        try:
            checks.run(name)
        except checks.CheckFailed as problem:
            raise click.ClickException(str(problem)) from None
        click.echo(f"{name}: clean")


@main.command(name="docs")
def write_docs() -> None:
    """Regenerate the generated pages of docs/; prints those that changed."""
    from devtools import docs

    for page in docs.write():
        click.echo(page)


@main.command(name="sbom")
@click.argument("file", type=click.Path(path_type=Path))
def write_bill(file: Path) -> None:
    """Write the bill of materials (CycloneDX) to FILE."""
    from devtools import supply_chain

    bill = supply_chain.bill_of_materials()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(bill, indent=2) + "\n")
    click.echo(f"{file}: {len(bill['components'])} components")


@main.command(name="advisories")
@click.option("--url", envvar="OSV_URL", help="Where to ask instead of osv.dev.")
def check_advisories(url: str | None) -> None:
    """List published advisories about what the system is made of; exits with 1 if there are any.
    Says so if nobody could be asked."""
    from devtools import supply_chain

    try:
        concerned = supply_chain.advisories(
            supply_chain.bill_of_materials(), url=url or supply_chain.OSV
        )
    except supply_chain.CouldNotAsk as problem:
        click.echo(f"Advisories: NOT CHECKED, osv.dev could not be asked ({problem}).")
        return
    for purl, ids in concerned.items():
        click.echo(f"{purl}: {', '.join(ids)}")
    click.echo(f"Advisories: {len(concerned)} packages have one.")
    sys.exit(1 if concerned else 0)


@main.command(name="migration")
@click.argument("service")
@click.argument("name")
def write_migration(service: str, name: str) -> None:
    """Write the next migration of SERVICE: what its models have and its migrations lack."""
    import alembic.command
    from chassis.db import migrations
    from clientele import registry

    folders = {known.name: known.migrations for known in registry.services()}
    if service not in folders:
        raise click.BadParameter(f"use one of {', '.join(folders)}", param_hint="SERVICE")
    folder = folders[service]
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
    from devtools import processes

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
    from devtools import demo

    sys.exit(demo.run(base_url, file if load else None))
