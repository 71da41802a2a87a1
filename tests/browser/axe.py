"""The findings of axe-core on a page, in light and in dark."""

from functools import cache
from typing import Any

import pytest
from clientele import assets
from playwright.sync_api import Page

PROGRAM = assets.CONSOLE / "browser" / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_RUN = """async only => {
    const found = await axe.run(document, {runOnly: only, resultTypes: ["violations"]});
    return found.violations.flatMap(rule => rule.nodes.map(node =>
        `${rule.id} at ${node.target.join(" ")}: ${node.failureSummary.replace(/\\s+/g, " ")}`));
}"""


@cache
def program() -> str:
    """The script. Tests are skipped if the registry cannot be reached; a file that differs from the
    lock fails them."""
    if not PROGRAM.exists() and (reason := assets.fetch()):
        pytest.skip(f"accessibility was NOT checked: {reason}")
    return PROGRAM.read_text()


def objections(page: Page) -> list[str]:
    """All findings; in dark only those about color, because the others are the same."""
    findings: list[str] = []
    only: dict[str, Any] = {"type": "tag", "values": TAGS}
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(program())
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        findings += [f"{scheme}: {one}" for one in page.evaluate(_RUN, only)]
        only = {"type": "rule", "values": ["color-contrast"]}
    page.emulate_media(color_scheme="light")
    return findings
