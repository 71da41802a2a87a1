"""The provider's settings."""

from typing import Any

from chassis.auth.access import current_caller, requires
from chassis.http import context, etag, requests
from chassis.http.parsing import Blueprint
from chassis.http.responses import json_response
from chassis.runtime import clock
from flask import Response

from org import actions, queries, schemas, values

blueprint = Blueprint("settings", __name__, url_prefix="/v1", description="The provider's settings")
_SERVICES = ("billing", "membership")


@blueprint.route("/settings", methods=["GET"])
@requires("settings.read")
@blueprint.response(200, schemas.Settings)
def get_settings() -> Response:
    """The settings in force, with an ETag over them."""
    return _single(_shown(current_caller().organization_id))


@blueprint.route("/settings", methods=["PATCH"])
@requires("settings.change")
@blueprint.arguments(schemas.SettingsPatch)
@blueprint.response(200, schemas.Settings)
def change_settings(body: dict[str, Any]) -> Response:
    """Change settings. `Prefer: wait` waits until all services apply them."""
    caller = current_caller()
    with context.database().transaction(correlation=requests.request_id()) as session:
        actions.change_settings(
            session,
            provider_id=caller.organization_id,
            now=clock.now(),
            by=caller.actor(),
            changes=body,
            check=etag.check,
        )

    def look() -> dict[str, Any] | None:
        shown = _shown(caller.organization_id)
        return shown if set(shown["applied_by"]) == set(_SERVICES) else None

    return _single(context.waiting().until(look) or _shown(caller.organization_id))


def _single(shown: dict[str, Any]) -> Response:
    return etag.tag(json_response(shown, 200), {name: shown[name] for name in values.SETTINGS})


def _shown(provider_id: str) -> dict[str, Any]:
    with context.database().reading() as session:
        found = queries.settings(session, provider_id)
        applied = [s for s in _SERVICES if found.applied.get(s, 0) >= found.version]
        return {**values.SETTINGS, **found.chosen, "applied_by": applied}
