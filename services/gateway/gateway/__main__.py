"""``python -m gateway web``."""

import sys

from chassis import config, log, server

from gateway.app import create_app, network
from gateway.config import Settings

if __name__ == "__main__":
    if sys.argv[1:] != ["web"]:
        sys.exit("usage: python -m gateway web")
    at = config.load(Settings)
    log.start(at.log_level, service="gateway", role="web")
    server.WebServer(lambda: create_app(at, network(at)), f"{at.host}:{at.port}", at.web_workers, at.web_threads).run()
