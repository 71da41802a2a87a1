"""A small service to send requests to: one resource, its permissions, and tokens for it."""

import json
from collections.abc import Callable
from typing import Any

import marshmallow as ma
from chassis.auth.access import AccessControl, requires
from chassis.auth.internal import parse_callers
from chassis.auth.permissions import Operations
from chassis.auth.tokens import RemoteKeys, Verifier
from chassis.db.database import Database
from chassis.errors import Conflict, Gone, Invalid
from chassis.http import application, context, idempotency
from chassis.http.fields import Text
from chassis.http.parsing import Blueprint
from chassis.runtime import clock, ids
from chassis.runtime.settings import Secret, ServiceSettings
from flask import Flask, Response
from joserfc import jwt
from joserfc.jwk import OKPKey
from werkzeug.test import TestResponse

from tests.chassis.messages import Effect

KEY = OKPKey.generate_key("Ed25519", {"kid": "now"})
PROVIDER = ids.new("org")
OPERATIONS = Operations.parse("""
word.write | x x - - - | x - - | - | word:write -
""")


class Word(ma.Schema):
    word = Text(required=True)
    count = ma.fields.Integer(strict=True)


class Broken(RuntimeError):
    pass


def claims(**other: Any) -> dict[str, Any]:
    now = int(clock.now().timestamp())
    values = {
        "iss": "clientele",
        "aud": "clientele",
        "sub": "idn_somebody",
        "org": PROVIDER,
        "kind": "provider",
        "role": "owner",
        "sid": "ses_one",
        "iat": now,
        "nbf": now,
        "exp": now + 300,
        "jti": "j",
    }
    return {name: value for name, value in (values | other).items() if value is not None}


def token(key: Any = KEY, header: dict[str, Any] | None = None, **other: Any) -> str:
    head = {"alg": "Ed25519", "typ": "at+jwt", "kid": key.kid} | (header or {})
    return jwt.encode(
        {k: v for k, v in head.items() if v is not None},
        claims(**other),
        key,
        algorithms=["Ed25519"],
    )


def keys() -> dict[str, Any]:
    return {"keys": [KEY.as_dict(private=False)]}


def build(database: Database, wait: Callable[[], None] = lambda: None) -> Flask:
    """The application. ``wait`` is called inside the transaction of each change."""
    blueprint = Blueprint("words", __name__)

    def act(body: dict[str, Any]) -> Callable[[Any], Any]:
        def write(session: Any) -> dict[str, Any]:
            word = body["word"]
            session.add(Effect(word=word))
            session.flush()
            wait()
            refusals: dict[str, Exception] = {
                "conflict": Conflict(code="conflicting", shortfall="1.00"),
                "gone": Gone(code="too_late"),
                "invalid": Invalid(code="not_valid"),
                "broken": Broken("an internal secret"),
            }
            if word in refusals:
                raise refusals[word]
            return {"word": word, "count": session.query(Effect).count()}

        return write

    def words(body: dict[str, Any]) -> Response:
        return idempotency.change(Word(), act(body), status=201)

    def money(body: dict[str, Any]) -> Response:
        return idempotency.change(Word(), act(body), status=201)

    def secrets(body: dict[str, Any]) -> Response:
        return idempotency.change(Word(), act(body), status=201, secret=True)

    for view in (words, money, secrets):
        guarded = blueprint.response(201, Word)(
            requires("word.write")(blueprint.arguments(Word)(view))
        )
        guarded = idempotency.key_required(guarded) if view is money else guarded
        blueprint.route(f"/{view.__name__}", methods=["POST"], endpoint=view.__name__)(guarded)
    access = AccessControl(
        operations=OPERATIONS,
        verifier=Verifier(RemoteKeys(keys)),
        provider_of=lambda _: None,
        internal_callers=parse_callers(""),
    )
    app = application.build(
        "words",
        title="Words",
        access=access,
        blueprints=[blueprint],
        ready={"database": database.check},
    )
    return context.attach(
        app, settings=ServiceSettings(database_url=Secret("")), database=database, transports={}
    )


def post(
    app: Flask, path: str, body: Any, *, key: str | None = None, bearer: str = "", **headers: str
) -> TestResponse:
    """POST JSON, or these bytes as they are, with a valid token unless another is given."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Authorization": f"Bearer {bearer or token()}", "Content-Type": "application/json"}
    sent |= {"Idempotency-Key": key} if key is not None else {}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return app.test_client().post(path, data=raw, headers=sent)
