"""The projects of the workspace."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Project:
    """A folder with a ``pyproject.toml`` and a package of the same name."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def package(self) -> Path:
        return self.folder / self.name

    @property
    def declaration(self) -> dict[str, Any]:
        return tomllib.loads((self.folder / "pyproject.toml").read_text())["project"]

    def has(self, module: str) -> bool:
        return (self.package / f"{module}.py").exists() or (self.package / module).is_dir()


def projects(root: Path) -> list[Project]:
    """The members of the workspace."""
    members = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["uv"]["workspace"][
        "members"
    ]
    return [
        Project(declaration.parent)
        for glob in members
        for declaration in sorted(root.glob(f"{glob}/pyproject.toml"))
    ]


PROJECTS = projects(ROOT)
SERVICES = [p for p in PROJECTS if p.folder.parent.name == "services"]
CONSOLE = next(s for s in SERVICES if s.name == "console")
# The console serves pages, the others an API.
WITH_CONTRACT = [s for s in SERVICES if s != CONSOLE]
WITH_DATA = [s for s in SERVICES if s.has("models")]
CHASSIS = ROOT / "shared" / "chassis" / "chassis"
CONTRACTS = ROOT / "shared" / "contracts" / "contracts"
OURS = [ROOT / "services", ROOT / "shared", ROOT / "deploy", ROOT / "tools"]


def listed(problems: Iterable[object]) -> str:
    """Problems, one per line, as a failing test shows them."""
    return "\n  " + "\n  ".join(str(problem).replace(f"{ROOT}/", "") for problem in problems)
