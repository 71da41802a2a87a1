"""The command line of a service: ``python -m billing relay``."""

import sys
from collections.abc import Callable, Mapping

from chassis.runtime import commands, log, roles
from chassis.runtime.service import Service
from chassis.runtime.settings import Misconfigured

_COMMANDS: Mapping[str, Callable[[Service], None]] = {
    "web": roles.web,
    "listen": roles.listen,
    "relay": roles.relay,
    "tick": roles.run_jobs,
    "migrate": commands.migrate,
    "topology": commands.topology,
    "subscribe": commands.subscribe,
    "dead-letters": commands.list_dead_letters,
    "redrive": commands.redrive,
    "audit": commands.verify_audit,
}


def main(service: Service) -> None:
    """Run the role or the command named on the command line."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    run = _COMMANDS.get(name)
    if run is None:
        sys.exit(f"usage: python -m {service.name} {'|'.join(_COMMANDS)}")
    log.start(service=service.name, role=name)
    try:
        run(service)
    except Misconfigured as problem:
        sys.exit(f"{service.name} {name}: {problem}")
