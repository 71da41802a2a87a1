"""The OpenAPI document of a service."""

from collections.abc import Iterable
from typing import Any

import flask
from flask import Flask
from flask_smorest import Api

from chassis.http.parsing import Blueprint
from chassis.http.problems import Problem


class ServiceApi(Api):
    """flask-smorest with errors documented as problem+json."""

    ERROR_SCHEMA = Problem
    DEFAULT_ERROR_RESPONSE_NAME = None  # the gateway documents the possible errors

    # flask-smorest offers no public way to document errors as problem+json.
    def _register_responses(self) -> None:
        response = {
            "description": "Problem",
            "content": {"application/problem+json": {"schema": self.ERROR_SCHEMA}},
        }
        self.spec.components.response("Problem", response)
        self.spec.components.response("UNPROCESSABLE_ENTITY", response)


def document(title: str, blueprints: Iterable[flask.Blueprint]) -> dict[str, Any]:
    """What the blueprints offer; plain Flask blueprints are not documented.

    They are registered with an application that serves nothing: the one that serves them starts
    without its document."""
    app = Flask(__name__, static_folder=None)
    app.config.update(API_TITLE=title, API_VERSION="v1", OPENAPI_VERSION="3.1.0")
    api = ServiceApi(app)
    for blueprint in blueprints:
        if isinstance(blueprint, Blueprint):
            api.register_blueprint(blueprint)
    described: dict[str, Any] = api.spec.to_dict()
    return described
