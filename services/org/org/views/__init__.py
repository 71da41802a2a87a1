"""Org's HTTP API."""

from org.views import deletions, history, internal, organizations, settings

BLUEPRINTS = (
    organizations.blueprint,
    deletions.blueprint,
    history.blueprint,
    settings.blueprint,
    internal.blueprint,
)
