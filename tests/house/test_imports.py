"""The floor plan: who may import whom, as ``.importlinter`` says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.house.places import PROJECTS, ROOT

LINT = (
    "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
)

# One line for each contract, in a copy of the code, that breaks it.
PLANTED = {
    "org/values.py": "import billing",
    "chassis/clock.py": "import gateway",
    "org/models.py": "import org.actions",
    "org/queries.py": "import urllib3",
    "org/views/settings.py": "import org.models",
    "contracts/parts.py": "import sqlalchemy",
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """The verdict on the packages in the folder."""
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


def test_everybody_imports_only_what_the_floor_plan_allows(tmp_path: Path) -> None:
    verdict = lint(copy(tmp_path))

    assert verdict.returncode == 0, verdict.stdout


def test_every_contract_bites(tmp_path: Path) -> None:
    folder = copy(tmp_path)
    for module, line in PLANTED.items():
        with (folder / module).open("a") as source:
            source.write(f"\n{line}\n")
    (folder / "org" / "cellar.py").touch()
    verdict = lint(folder)

    assert f"0 kept, {len(PLANTED)} broken" in verdict.stdout, verdict.stdout + verdict.stderr
    assert "org.cellar" in verdict.stdout
    for module, line in PLANTED.items():
        importer = module.removesuffix(".py").replace("/", ".")
        assert f"{importer} -> {line.removeprefix('import ')}" in verdict.stdout, verdict.stdout


def test_every_service_and_every_room_stands_in_the_floor_plan() -> None:
    plan = (ROOT / ".importlinter").read_text()
    roots, strangers, containers = (
        _listed(plan, name) for name in ("root_packages", "modules", "containers")
    )
    services = {p.name for p in PROJECTS if p.folder.parent.name == "services"}

    assert roots == {p.name for p in PROJECTS}
    assert strangers == services
    assert containers == services


def _listed(plan: str, name: str) -> set[str]:
    lines = plan.partition(f"\n{name} =\n")[2].splitlines()
    end = next(n for n, line in enumerate(lines) if not line.startswith("    "))
    return {line.strip() for line in lines[:end]}
