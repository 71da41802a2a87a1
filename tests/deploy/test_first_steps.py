"""docs/first-steps.md: its commands, run as a newcomer would type them."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded import Embedded

PAGE = Path(__file__).parents[2] / "docs" / "first-steps.md"
STEPS = re.compile(r"<!-- run by tests/deploy/test_first_steps\.py -->\n```sh\n(.*?)```", re.DOTALL)


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Embedded]:
    system = Embedded(tmp_path)
    system.password = "correct horse battery"
    system.start()
    yield system
    system.kill()


def test_every_step_does_what_the_page_says(embedded: Embedded, tmp_path: Path) -> None:
    steps = STEPS.findall(PAGE.read_text())
    script = "\necho '===='\n".join(steps).replace("http://127.0.0.1:8080", embedded.address)

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    signed_in, created, credited, refused, deleted = done.stdout.replace('": ', '":').split(
        "====\n"
    )

    assert signed_in == ""
    assert '"status":"active"' in created
    assert '"usable_credits":"87.654322"' in credited
    assert '"code":"credits_left"' in refused
    assert '"status":"scheduled"' in deleted
    assert '"action":"deletion.scheduled"' in deleted
