"""The provider's settings."""

from typing import Any

from chassis.auth.access import current_caller, requires
from chassis.http import context, etag
from chassis.http.parsing import Blueprint
from chassis.http.responses import json_response
from chassis.runtime import clock
from flask import Response

from org import actions, queries, schemas
from org.values.settings import DEFAULTS

blueprint = Blueprint("settings", __name__, url_prefix="/v1", description="The provider's settings")
_SERVICES = ("billing", "membership")


@blueprint.route("/settings", methods=["GET"])
@requires("settings.read")
@blueprint.response(200, schemas.Settings)
def get_settings() -> Response:
    """Retrieve the current settings, with an ETag over them."""
    return _with_etag(_shown(current_caller().organization_id))


@blueprint.route("/settings", methods=["PATCH"])
@requires("settings.change")
@blueprint.arguments(schemas.SettingsPatch)
@blueprint.response(200, schemas.Settings)
def change_settings(body: dict[str, Any]) -> Response:
    """Change settings. `Prefer: wait` waits until all services apply them."""
    caller = current_caller()
    with context.transaction() as session:
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

    return _with_etag(context.waiting().until(look) or _shown(caller.organization_id))


def _with_etag(shown: dict[str, Any]) -> Response:
    response = json_response(shown, 200)
    return etag.tag(response, {name: shown[name] for name in DEFAULTS})


def _shown(provider_id: str) -> dict[str, Any]:
    with context.database().reading() as session:
        settings = queries.provider_settings(session, provider_id)
        return {**settings.effective, "applied_by": settings.applied_by(_SERVICES)}
