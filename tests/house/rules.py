"""The rules that the source itself must follow: each takes a folder and returns the violations."""

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

MODULE, FUNCTION, APP, MAIN = 300, 40, 90, 20

# Domain nouns. Tenancy is the business of the chassis, because tokens, audit rows and the
# permission table are keyed by it: organization, provider, customer, member, owner, staff and
# support are allowed.
FORBIDDEN_NOUNS = (
    "account",
    "amount",
    "balance",
    "blocker",
    "charge",
    "credit",
    "currency",
    "deletion",
    "grace",
    "invitation",
    "invoice",
    "ledger",
    "membership",
    "money",
    "ownership",
    "payment",
    "pin",
    "posting",
    "price",
    "purge",
    "refund",
    "reservation",
    "subscription",
    "tax",
    "wallet",
    "withdrawal",
)
MEANINGLESS = {
    "base",
    "common",
    "core",
    "handler",
    "handlers",
    "helper",
    "helpers",
    "lib",
    "manager",
    "managers",
    "misc",
    "shared",
    "stuff",
    "tools",
    "util",
    "utils",
}
SHORT_YEAR = re.compile(r"%Y|\bMMM+ y\b")
LEFT_OVER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
TRANSACTION_WORDS = {"commit", "rollback", "begin_nested"}
GUARDS = {"requires", "internal", "public"}
FAILPOINT_VARIABLE = "CLIENTELE_FAILPOINT"
TEXT = {
    ".py",
    ".toml",
    ".yml",
    ".yaml",
    ".cfg",
    ".conf",
    ".sql",
    ".sh",
    ".md",
    ".mako",
    ".env",
    ".Dockerfile",
    "",
}


class Source(NamedTuple):
    """A module, parsed."""

    path: Path
    text: str
    tree: ast.Module


def sources(folder: Path) -> Iterator[Source]:
    """Every module below the folder."""
    for path in sorted(folder.rglob("*.py")):
        if "__pycache__" not in path.parts:
            yield _parsed(path, path.stat().st_mtime_ns)


@cache
def _parsed(path: Path, _changed: int) -> Source:
    text = path.read_text()
    return Source(path, text, ast.parse(text))


def lines(text: str) -> int:
    """How many lines are not blank."""
    return sum(1 for line in text.splitlines() if line.strip())


def transaction_words(folder: Path) -> list[str]:
    """One transaction per request: nothing outside the chassis ends a transaction or nests one."""
    return [
        f"{_at(source, node)} calls {node.func.attr}()"
        for source, node in _calls(folder)
        if isinstance(node.func, ast.Attribute) and node.func.attr in TRANSACTION_WORDS
    ]


def prints(folder: Path) -> list[str]:
    """Only commands print; everything else logs."""
    return [
        f"{_at(source, node)} prints"
        for source, node in _calls(folder)
        if isinstance(node.func, ast.Name)
        and node.func.id == "print"
        and source.path.name != "commands.py"
    ]


def sizes(folder: Path) -> list[str]:
    """Modules, functions, ``app`` and ``__main__`` within their limits; migrations may have long
    functions."""
    return [problem for source in sources(folder) for problem in _sizes(source)]


def _sizes(source: Source) -> Iterator[str]:
    cap = {"app.py": APP, "__main__.py": MAIN}.get(source.path.name, MODULE)
    migration = "migrations" in source.path.parts
    if (count := lines(source.text)) > cap and not migration:
        yield f"{source.path}: {count} lines, {cap} allowed"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not migration:
            count = lines(_body(source, node))
            if count > FUNCTION:
                yield f"{_at(source, node)} {node.name}: {count} lines, {FUNCTION} allowed"


def _body(source: Source, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """What a function does, without its signature and docstring."""
    first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
    return "\n".join(source.text.splitlines()[first.lineno - 1 : node.end_lineno])


def domain_nouns(folder: Path) -> list[str]:
    """The chassis runs any service: no domain noun in its names or texts."""
    pattern = re.compile(rf"(?<![a-z])({'|'.join(FORBIDDEN_NOUNS)})s?(?![a-z])", re.IGNORECASE)
    return [
        f"{source.path}:{number} mentions {match[1].lower()}"
        for source in sources(folder)
        for number, line in enumerate(source.text.splitlines(), 1)
        for match in pattern.finditer(line)
    ]


def meaningless_names(folder: Path) -> list[str]:
    """A module is named after what is in it."""
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if (path.suffix == ".py" or (path / "__init__.py").exists()) and path.stem in MEANINGLESS
    ]


def left_overs(folder: Path) -> list[str]:
    """Open work is an issue, not a comment."""
    return [
        f"{path}:{n} {match[0]}"
        for path, n, line in _text(folder)
        for match in LEFT_OVER.finditer(line)
    ]


def short_years(folder: Path) -> list[str]:
    """``%Y`` and Babel's ``y`` print years before 1000 with fewer than four digits."""
    return [
        f"{path}:{n} {match[0]}"
        for path, n, line in _text(folder)
        for match in SHORT_YEAR.finditer(line)
    ]


def failpoint_variable(folder: Path) -> list[str]:
    """Only ``chassis.runtime.failpoints`` reads the variable."""
    return [
        f"{path}:{n} names {FAILPOINT_VARIABLE}"
        for path, n, line in _text(folder)
        if FAILPOINT_VARIABLE in line and path.parts[-2:] != ("runtime", "failpoints.py")
    ]


def unguarded_bodies(folder: Path) -> list[str]:
    """A view checks the caller before it reads the body: the guard is above ``arguments``."""
    return [problem for source in sources(folder) for problem in _unguarded(source)]


def _unguarded(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.FunctionDef):
            continue
        names = [_name(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list]
        if "arguments" in names and not GUARDS & set(names[: names.index("arguments")]):
            yield f"{_at(source, node)} {node.name} reads the body before it checks the caller"


def undocumented_modules(folder: Path) -> list[str]:
    """Every module begins with a docstring."""
    return [
        f"{source.path} has no docstring"
        for source in sources(folder)
        if ast.get_docstring(source.tree) is None and source.tree.body
    ]


def published(package: Path) -> set[tuple[str, str]]:
    """The messages a package publishes, as (module of contracts, class): constructed, or passed to
    what constructs them.

    A class in an annotation or as a key of a table is only consumed."""
    messages = set()
    for source in sources(package):
        modules = _aliases(source.tree, lambda node: node.module == "contracts")
        classes = _aliases(source.tree, lambda node: (node.module or "").startswith("contracts."))
        for node in _values(source.tree):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id in modules
            ):
                messages.add((modules[node.value.id].rpartition(".")[2], node.attr))
            elif isinstance(node, ast.Name) and node.id in classes:
                module, _, name = classes[node.id].rpartition(".")
                messages.add((module.rpartition(".")[2], name))
    return messages


def imported(package: Path) -> set[str]:
    """The top-level names a package imports."""
    names = set()
    for source in sources(package):
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names


def _aliases(tree: ast.Module, wanted: Callable[[ast.ImportFrom], bool]) -> dict[str, str]:
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and wanted(node)
        for alias in node.names
    }


def _values(tree: ast.Module) -> Iterator[ast.expr]:
    """What is called, passed as an argument, or the value in a table."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node.func
            yield from node.args
            yield from (keyword.value for keyword in node.keywords)
        elif isinstance(node, ast.Dict):
            yield from node.values
        elif isinstance(node, ast.Tuple | ast.List):
            yield from node.elts


def _calls(folder: Path) -> Iterator[tuple[Source, ast.Call]]:
    for source in sources(folder):
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call):
                yield source, node


def _text(folder: Path) -> Iterator[tuple[Path, int, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in TEXT and "__pycache__" not in path.parts:
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                yield path, number, line


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _at(source: Source, node: ast.expr | ast.stmt) -> str:
    return f"{source.path}:{node.lineno}"
