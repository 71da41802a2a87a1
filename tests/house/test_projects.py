"""Each project declares exactly what it imports, so that images stay small and start."""

from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.house import dependencies
from tests.house.workspace import PROJECTS, SERVICES, Project, listed


@pytest.fixture(scope="module")
def owners() -> dict[str, set[str]]:
    return {
        module: {dependencies.canonical(name) for name in names}
        for module, names in packages_distributions().items()
    }


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name)
def test_what_is_declared_is_imported_and_what_is_imported_is_declared(
    project: Project, owners: dict[str, set[str]]
) -> None:
    unused, undeclared = dependencies.differences(project, PROJECTS, owners)

    assert not unused, f"declared, not imported: {listed(unused)}"
    assert not undeclared, f"imported, not declared: {listed(undeclared)}"


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_service_depends_on_chassis_and_contracts_only(service: Project) -> None:
    ours = {project.name for project in PROJECTS}
    declared = {dependencies.distribution(line) for line in service.declaration["dependencies"]}

    assert declared & ours <= {"chassis", "contracts"}


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name)
def test_every_project_has_the_same_license_and_python(project: Project) -> None:
    assert project.declaration["license"] == "Apache-2.0"
    assert project.declaration["requires-python"] == ">=3.11"


def test_an_unused_and_a_missing_declaration_are_found(
    tmp_path: Path, owners: dict[str, set[str]]
) -> None:
    folder = tmp_path / "planted"
    (folder / "planted").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "planted"\ndependencies = ["limits==5.8.0"]\n'
    )
    (folder / "planted" / "views.py").write_text("import sqlalchemy\nimport json\n")
    planted = Project(folder)

    assert dependencies.differences(planted, [planted], owners) == ({"limits"}, {"sqlalchemy"})
