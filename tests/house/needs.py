"""What a project declares that it needs, against what it imports."""

import re
import sys
from collections.abc import Iterable, Mapping

from tests.house import rules
from tests.house.places import Project

# Part of the framework beside which it is declared: its public names are spread over two
# distributions.
COMPANIONS = {"flask": {"werkzeug"}, "flask-smorest": {"webargs", "apispec"}, "kombu": {"amqp"}}

# Data without a module of that name: used through a module of the standard library.
DATA = {"tzdata": "zoneinfo"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def distribution(requirement: str) -> str:
    """``chassis[data]==1`` -> ``chassis``."""
    return canonical(re.split(r"[\[<>=!~;\s]", requirement, maxsplit=1)[0])


def extras(requirement: str) -> list[str]:
    found = re.search(r"\[([^\]]+)\]", requirement)
    return found[1].split(",") if found else []


def differences(
    project: Project, projects: Iterable[Project], owners: Mapping[str, set[str]]
) -> tuple[set[str], set[str]]:
    """What is declared and imported nowhere, and what is imported and declared nowhere.

    What the chassis declares comes with the chassis (its extras only where they are asked for)."""
    found = rules.imported(project.package) - {project.name}
    outside = {module for module in found if module not in sys.stdlib_module_names}
    lines = project.declaration["dependencies"]
    declared = {distribution(line) for line in lines} | _optional(project)
    used = {name for module in outside for name in owners.get(module, {canonical(module)})}
    used |= {name for name, module in DATA.items() if module in found}
    ours = {p.name: p for p in projects}
    allowed = declared | {
        n for line in lines if distribution(line) in ours for n in _brought(line, ours)
    }
    allowed |= {companion for name in allowed for companion in COMPANIONS.get(name, ())}
    undeclared = {
        module for module in outside if not owners.get(module, {canonical(module)}) & allowed
    }
    return declared - used, undeclared


def _optional(project: Project) -> set[str]:
    groups = project.declaration.get("optional-dependencies", {}).values()
    return {distribution(line) for group in groups for line in group}


def _brought(requirement: str, ours: Mapping[str, Project]) -> set[str]:
    declaration = ours[distribution(requirement)].declaration
    asked = [
        declaration.get("optional-dependencies", {}).get(extra, []) for extra in extras(requirement)
    ]
    lines = [*declaration["dependencies"], *(line for group in asked for line in group)]
    return {distribution(line) for line in lines}
