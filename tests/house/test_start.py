"""What a process does not load when it starts: modules that take long and that it does not use."""

import subprocess
import sys

import pytest

# What only some roles or commands use.
RARE = (
    "alembic",
    "PIL",
    "amqp",
    "flask",
    "flask_smorest",
    "gunicorn",
    "idna",
    "joserfc",
    "kombu",
    "mako",
    "psycopg",
    "urllib3",
)
# What each of these modules may load all the same.
NEEDED = {
    "org.__main__": (),
    "billing.__main__": (),
    "membership.__main__": (),
    "gateway.__main__": ("flask", "joserfc", "urllib3"),
    "console.__main__": ("flask", "joserfc"),
    "chassis.http.application": ("flask",),
    "clientele.embedded": ("flask", "joserfc", "urllib3"),
}


@pytest.mark.parametrize("module", NEEDED)
def test_a_process_loads_only_what_it_needs(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()

    assert {name for name in RARE if name in loaded} <= set(NEEDED[module])
