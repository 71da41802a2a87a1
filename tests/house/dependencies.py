"""Declared dependencies of a project compared with its imports."""

import re
import sys
from collections.abc import Iterable, Mapping

from clientele import registry

from tests.house import rules
from tests.house.workspace import Project

# Distributions whose public names are spread over two packages.
COMPANIONS = {"flask": {"werkzeug"}, "flask-smorest": {"webargs", "apispec"}, "kombu": {"amqp"}}

# Data without a module of that name: used through a module of the standard library.
DATA = {"tzdata": "zoneinfo"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def distribution(requirement: str) -> str:
    """``chassis[data]==1`` -> ``chassis``."""
    return canonical(re.split(r"[\[<>=!~;\s]", requirement, maxsplit=1)[0])


def extras(requirement: str) -> list[str]:
    match = re.search(r"\[([^\]]+)\]", requirement)
    return match[1].split(",") if match else []


def differences(
    project: Project, projects: Iterable[Project], owners: Mapping[str, set[str]]
) -> tuple[set[str], set[str]]:
    """What is declared but not imported, and what is imported but not declared.

    The dependencies of the chassis come with it (its extras only where they are requested)."""
    modules = rules.imported(project.package) - {project.name}
    outside = {module for module in modules if module not in sys.stdlib_module_names}
    lines = project.declaration["dependencies"]
    declared = {distribution(line) for line in lines} | _optional(project)
    used = {name for module in outside for name in owners.get(module, {canonical(module)})}
    used |= {name for name, module in DATA.items() if module in modules}
    if project.name == "clientele":  # it imports what the registry of services names
        used |= {canonical(name) for name in registry.entries()}
    ours = {p.name: p for p in projects}
    allowed = declared | {
        n for line in lines if distribution(line) in ours for n in _transitive(line, ours)
    }
    allowed |= {companion for name in allowed for companion in COMPANIONS.get(name, ())}
    undeclared = {
        module for module in outside if not owners.get(module, {canonical(module)}) & allowed
    }
    return declared - used, undeclared


def _optional(project: Project) -> set[str]:
    groups = project.declaration.get("optional-dependencies", {}).values()
    return {distribution(line) for group in groups for line in group}


def _transitive(requirement: str, ours: Mapping[str, Project]) -> set[str]:
    declaration = ours[distribution(requirement)].declaration
    requested = [
        declaration.get("optional-dependencies", {}).get(extra, []) for extra in extras(requirement)
    ]
    lines = [*declaration["dependencies"], *(line for group in requested for line in group)]
    return {distribution(line) for line in lines}
