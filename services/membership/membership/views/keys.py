"""API keys of the caller's organization, and authentication with one."""

from datetime import timedelta
from typing import Any

from chassis.auth.access import current_caller, requires
from chassis.http import context, idempotency, paging
from chassis.http.parsing import Blueprint
from chassis.runtime import clock
from flask import Response

from membership import guard, queries, schemas
from membership.actions import key_makers
from membership.actions import keys as actions
from membership.views import resources

blp = Blueprint("keys", __name__, url_prefix="/v1/api-keys", description="API keys")


@blp.route("", methods=["GET"])
@requires("key.list")
@blp.arguments(paging.PageArgs, location="query")
@blp.response(200, schemas.ApiKeyPage)
def list_keys(args: dict[str, Any]) -> dict[str, Any]:
    """List the API keys, newest first."""
    organization_id = current_caller().organization_id
    with context.database().reading() as session:
        return paging.page(
            session,
            queries.api_keys(organization_id, clock.now()),
            limit=args["limit"],
            cursor=args.get("cursor"),
            order=f"keys {organization_id}",
            row=lambda row: _shown(*row[:3]),
        )


@blp.route("", methods=["POST"])
@requires("key.manage")
@blp.arguments(schemas.NewApiKey)
@blp.response(201, schemas.ApiKeyWithSecret)
def create_key(body: dict[str, Any]) -> Response:
    """Create an API key, which expires after a year unless ``expires_at`` says otherwise (null:
    never). It is shown only this once, and the owner is notified by email."""
    caller = current_caller()

    def act(session: Any) -> dict[str, Any]:
        key, raw = actions.create_key(
            session,
            organization_id=caller.organization_id,
            name=body["name"],
            scopes=body["scopes"],
            grantable=guard.grantable(caller),
            expires_at=body.get("expires_at", clock.now() + actions.LIFETIME),
            by=caller.actor(),
            now=clock.now(),
        )
        return _shown(key, 1, None) | {"api_key": raw}

    return idempotency.change(schemas.ApiKeyWithSecret(), act, status=201, secret=True)


@blp.route("/<key_id>/rotate", methods=["POST"])
@requires("key.manage")
@blp.arguments(schemas.Rotation)
@blp.response(200, schemas.ApiKeyWithSecret)
def rotate_key(body: dict[str, Any], key_id: str) -> Response:
    """Give an API key a new secret, shown only this once. The previous one stays valid for the
    overlap."""
    caller, overlap = current_caller(), timedelta(minutes=body["overlap_minutes"])

    def act(session: Any) -> dict[str, Any]:
        now = clock.now()
        key, raw = actions.rotate_key(
            session,
            organization_id=caller.organization_id,
            key_id=key_id,
            overlap=overlap,
            grantable=guard.grantable(caller),
            by=caller.actor(),
            now=now,
        )
        shown = _shown(key, 2, now + overlap) if overlap else _shown(key, 1, None)
        return shown | {"api_key": raw}

    return idempotency.change(schemas.ApiKeyWithSecret(), act, secret=True)


@blp.route("/<key_id>/adopt", methods=["POST"])
@requires("key.adopt")
@blp.response(200, schemas.AdoptedApiKey)
def adopt_key(key_id: str) -> Response:
    """Adopt an API key: the caller is now its maker, and it works again if it was suspended. Its
    secret stays the same, and may be known to the former maker: rotate it."""
    caller = current_caller()

    def act(session: Any) -> dict[str, Any]:
        key = key_makers.adopt_key(
            session,
            organization_id=caller.organization_id,
            key_id=key_id,
            grantable=guard.grantable(caller),
            by=caller.actor(),
            now=clock.now(),
        )
        row = session.execute(queries.api_keys(caller.organization_id, clock.now(), key.id)).one()
        return _shown(*row) | {"rotate_recommended": True}

    return idempotency.change(schemas.AdoptedApiKey(), act)


@blp.route("/<key_id>", methods=["DELETE"])
@requires("key.manage")
@blp.response(204)
def delete_key(key_id: str) -> Response:
    """Delete an API key. It stops working immediately."""
    caller = current_caller()
    idempotency.retried(
        lambda session: actions.delete_key(
            session,
            organization_id=caller.organization_id,
            key_id=key_id,
            by=caller.actor(),
            now=clock.now(),
        )
    )
    return Response(status=204)


def tokens_of(raw: str) -> dict[str, Any]:
    """The access token for an API key. Raises InvalidKey, KeySuspended, OrganizationSuspended."""
    now = clock.now()
    with context.database().reading() as session:
        used = actions.authenticate(session, raw=raw, now=now)
    with context.database().transaction() as session:
        actions.note_use(session, key_id=used.key.id, now=now)
    claims = guard.claims_of_key(used, now)
    return {
        "access_token": resources.signer().sign(claims),
        "token_type": "Bearer",
        "expires_in": int(claims["exp"] - claims["iat"]),
        "identity": {
            "id": used.key.id,
            "email": None,
            "given_name": used.key.name,
            "family_name": "",
        },
        "organization": used.organization,
        "role": claims["role"],
        "scopes": claims["scope"].split(),
    }


def _shown(key: Any, live: int, older_ends_at: Any) -> dict[str, Any]:
    shown = (
        *("id", "name", "scopes", "created_at", "expires_at", "last_used_at"),
        "suspended_because",
    )
    return {name: getattr(key, name) for name in shown} | {
        "status": key.status(clock.now()),
        "created_by": {"name": key.created_by_name},
        "secrets": {"live": live, "older_ends_at": older_ends_at},
    }
