"""The demo's output: numbered steps, each request with its response, and whether that was
expected."""

import re
from typing import Any

from rich.console import Console
from rich.text import Text

from devtools.demo.api import Answer

_ID = re.compile(r"(org_|res_|inv_|verify/|verifications/)[A-Za-z0-9_-]{16,}([A-Za-z0-9_-]{4})")


class Differs(Exception):
    """A result was not as expected."""


class Narrator:
    """Prints to a console; counts steps and checks."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.steps = 0
        self.checks = 0

    def chapter(self, title: str) -> None:
        """Print the title of a new part."""
        self._line(f"\n{title}", "bold cyan")

    def step(self, title: str) -> None:
        """Print what is done next."""
        self.steps += 1
        self._line(f"\n{self.steps:3}  {title}", "bold")

    def note(self, text: str) -> None:
        """Print a remark."""
        self._line(f"       {text}", "dim")

    def answered(self, answer: Answer, expected: int) -> dict[str, Any]:
        """Print a response and return its body. Raises Differs unless it has the expected
        status."""
        again = "  (replayed)" if answer.replayed else ""
        self._line(f"     {answer.method} {short(answer.path)} → {answer.in_words}{again}", "")
        self.check("status", answer.status, expected, quiet=True, why=answer.body.get("detail"))
        return answer.body

    def check(
        self, what: str, got: Any, expected: Any, *, quiet: bool = False, why: str | None = None
    ) -> None:
        """Print that the two are equal. Raises Differs unless they are."""
        if got != expected:
            self._line(f"     ✘ {what}: expected {shown(expected)}, got {shown(got)}", "bold red")
            if why:
                self.note(why)
            raise Differs(f"{what}: expected {shown(expected)}, got {shown(got)}")
        self.checks += 1
        if not quiet:
            self._line(f"     ✔ {what}: {short(shown(got))}", "green")

    def fault(self, text: str) -> None:
        """Print an error."""
        self._line(f"     ✘ {text}", "bold red")

    def _line(self, text: str, style: str) -> None:
        self.console.print(Text(text, style=style), soft_wrap=True)


def shown(value: Any) -> str:
    """A value in one line."""
    if isinstance(value, list):
        return ", ".join(map(shown, value)) or "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def short(text: str) -> str:
    """The text with only the ends of long ids and tokens."""
    return _ID.sub(r"\1…\2", text)
