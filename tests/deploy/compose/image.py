"""The Dockerfile, and its health check as a container runs it."""

import json
import os
import re
import subprocess
from pathlib import Path

from tests.deploy.compose.files import DOCKERFILE


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    lines = [
        line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#")
    ]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [
        (word, rest)
        for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())
    ]


def environment() -> dict[str, str]:
    """What the image sets for its process."""
    words = list(instructions())
    last = max(n for n, (word, _) in enumerate(words) if word == "FROM")
    pairs = [pair for word, rest in words[last:] if word == "ENV" for pair in rest.split()]
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def is_healthy(readiness_file: Path) -> bool:
    """What the Dockerfile's health check says where a process writes into this file."""
    [check] = [rest for word, rest in instructions() if word == "HEALTHCHECK"]
    command = json.loads(check.partition(" CMD ")[2])
    environment = {"PATH": os.environ["PATH"], "READINESS_FILE": str(readiness_file)}
    return (
        subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0
    )
