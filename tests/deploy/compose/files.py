"""docker-compose.yml, and what the registry says should be in it."""

from pathlib import Path
from typing import Any

import yaml
from clientele import registry

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "deploy/service.Dockerfile"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
REGISTRY = registry.entries()
DATA_SERVICES = [service.name for service in registry.services()]
ROLES = ("web", "listen", "relay", "tick", "migrate", "topology")
PAGES = {f"console-{role}" for role in ("web", "migrate")}
# Services with CSV, PDF or streams have a second web role for them.
DOWNLOADS = {f"{service}-downloads" for service in ("org", "billing")}
ONCE = ("migrate", "topology", "bootstrap")
STAY = {name for name in SERVICES if not name.endswith(ONCE)}
MOUNTED = "/run/secrets/"
