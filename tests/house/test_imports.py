"""Which module may import which, as ``.importlinter`` declares."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.house.workspace import PROJECTS, ROOT

LINT = (
    "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
)

# One line for each contract, in a copy of the code, that breaks it.
PLANTED = {
    "org/values.py": "import billing",
    "chassis/runtime/clock.py": "import gateway",
    "org/models.py": "import org.actions",
    "org/queries.py": "import urllib3",
    "org/views/settings.py": "import org.models",
    "contracts/parts.py": "import sqlalchemy",
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """The result of import-linter for the packages in the folder."""
    environment = os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-P", "-c", LINT],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def copy(folder: Path) -> Path:
    shutil.copy(ROOT / ".importlinter", folder)
    for project in PROJECTS:
        shutil.copytree(
            project.package, folder / project.name, ignore=shutil.ignore_patterns("__pycache__")
        )
    return folder


def test_every_import_is_allowed(tmp_path: Path) -> None:
    result = lint(copy(tmp_path))

    assert result.returncode == 0, result.stdout


def test_every_contract_finds_a_violation(tmp_path: Path) -> None:
    folder = copy(tmp_path)
    for module, line in PLANTED.items():
        with (folder / module).open("a") as source:
            source.write(f"\n{line}\n")
    (folder / "org" / "unlisted.py").touch()
    result = lint(folder)

    assert f"0 kept, {len(PLANTED)} broken" in result.stdout, result.stdout + result.stderr
    assert "org.unlisted" in result.stdout
    for module, line in PLANTED.items():
        importer = module.removesuffix(".py").replace("/", ".")
        assert f"{importer} -> {line.removeprefix('import ')}" in result.stdout, result.stdout


def test_every_service_is_in_every_contract() -> None:
    configuration = (ROOT / ".importlinter").read_text()
    roots, independent, containers = (
        _listed(configuration, name) for name in ("root_packages", "modules", "containers")
    )
    services = {p.name for p in PROJECTS if p.folder.parent.name == "services"}

    assert roots == {p.name for p in PROJECTS}
    assert independent == services
    assert containers == services


def _listed(configuration: str, name: str) -> set[str]:
    lines = configuration.partition(f"\n{name} =\n")[2].splitlines()
    end = next(n for n, line in enumerate(lines) if not line.startswith("    "))
    return {line.strip() for line in lines[:end]}
