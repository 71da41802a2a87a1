"""What the gateway calls: the services, and their feeds of revocations."""

from gateway.clients.feeds import Feed
from gateway.clients.upstreams import HttpUpstream, InProcess, Upstream, UpstreamResponse

__all__ = ["Feed", "HttpUpstream", "InProcess", "Upstream", "UpstreamResponse"]
