"""What every response looks like, and what is rejected before a view runs."""

from collections.abc import Callable
from typing import Any

import pytest
from chassis import errors
from chassis.auth.access import public
from chassis.db.database import Database
from chassis.http import application, body_limits, context, problems, requests
from chassis.runtime.settings import Secret, ServiceSettings
from flask import Blueprint, Flask
from sqlalchemy.exc import OperationalError

from tests.chassis.messages import effects
from tests.chassis.sample_service import build, post


@pytest.fixture
def raising() -> Callable[[Exception], Any]:
    """The response to a view that raises this."""

    def send(problem: Exception) -> Any:
        blueprint = Blueprint("raising", __name__)

        @blueprint.get("/raise")
        @public
        def view() -> Any:
            raise problem

        app = application.build(
            "raising", title="Raising", access=None, blueprints=[blueprint], ready={}
        )
        context.attach(
            app, settings=ServiceSettings(database_url=Secret("")), database=None, transports={}
        )  # type: ignore[arg-type]
        return app.test_client().get("/raise")

    return send


@pytest.mark.parametrize(("kind", "status"), problems.STATUS.items())
def test_each_kind_of_failure_is_a_problem_with_its_status(
    raising: Any, kind: type[errors.Failure], status: int
) -> None:
    response = raising(kind("What is wrong.", code="a_code"))

    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    problem = response.json
    assert (problem["status"], problem["code"], problem["detail"]) == (
        status,
        "a_code",
        "What is wrong.",
    )
    assert problem["type"] == "urn:clientele:problem:a_code"
    assert problem["title"] == "A code"
    assert problem["instance"] == f"/raise#{response.headers['X-Request-Id']}"
    assert response.headers["Cache-Control"] == "no-store"
    assert ("Retry-After" in response.headers) == (status in (429, 503))


def test_a_failure_carries_its_own_code_detail_and_members(raising: Any) -> None:
    class NotEnough(errors.Conflict):
        code = "too_little"
        detail = "The balance is too low."

    response = raising(NotEnough(shortfall="5.00"))

    assert response.json["code"] == "too_little"
    assert response.json["detail"] == "The balance is too low."
    assert response.json["shortfall"] == "5.00"


@pytest.mark.parametrize(
    ("attributes", "missing"),
    [
        ({}, "code and detail"),
        ({"code": "too_little"}, "detail"),
        ({"detail": "The balance is too low."}, "code"),
        ({"code": "", "detail": "The balance is too low."}, "code"),
    ],
)
def test_a_kind_of_failure_without_its_own_code_and_detail_cannot_be_defined(
    attributes: dict[str, str], missing: str
) -> None:
    with pytest.raises(TypeError, match=f"NotEnough must define {missing}$"):
        type("NotEnough", (errors.Conflict,), attributes | {"__doc__": "Inherits nothing."})


def test_an_internal_error_reveals_no_details(raising: Any) -> None:
    response = raising(RuntimeError("SELECT secret FROM inside"))

    assert response.status_code == 500
    assert response.json["code"] == "internal_error"
    assert "secret" not in response.text
    assert "Traceback" not in response.text


def test_an_unavailable_database_is_503(raising: Any) -> None:
    response = raising(OperationalError("SELECT", {}, Exception("connection refused at 10.0.0.7")))

    assert (response.status_code, response.json["code"]) == (503, "service_unavailable")
    assert "10.0.0.7" not in response.text
    assert response.headers["Retry-After"]


@pytest.mark.parametrize(
    "header", ["", "Basic", "Basic \xe9", "Basic a", "Basic ====", "Basic /w==", "Bearer eDp5"]
)
def test_internal_routes_return_401_without_a_service_and_its_secret(
    database: Database, header: str
) -> None:
    response = (
        build(database)
        .test_client()
        .get("/internal/openapi.json", headers={"Authorization": header})
    )

    assert (response.status_code, response.json["code"]) == (401, "internal_only")


def test_the_document_describes_errors_as_problem_json(database: Database) -> None:
    """flask-smorest documents errors as application/json in a private method that we override: a
    new version may no longer call it."""
    components = build(database).extensions["openapi"]()["components"]

    for name in ("Problem", "UNPROCESSABLE_ENTITY"):
        content = components["responses"][name]["content"]
        assert content == {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        }


def test_an_unknown_path_is_404(database: Database) -> None:
    response = build(database).test_client().get("/nowhere")

    assert (response.status_code, response.json["code"]) == (404, "not_found")


def test_a_wrong_method_is_405_and_lists_the_allowed_ones(database: Database) -> None:
    response = build(database).test_client().put("/words")

    assert (response.status_code, response.json["code"]) == (405, "method_not_allowed")
    assert "POST" in response.headers["Allow"]


def test_a_body_over_the_limit_is_413(database: Database) -> None:
    app = build(database)

    at_the_limit = post(app, "/words", b'{"word": "a"}' + b" " * (body_limits.DEFAULT - 13))
    beyond = post(app, "/words", b'{"word": "a"}' + b" " * (body_limits.DEFAULT - 12))

    assert (at_the_limit.status_code, beyond.status_code) == (201, 413)
    assert beyond.json["code"] == "too_large"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/xml"},
        {"Content_Type": ""},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "multipart/form-data; boundary=x"},
        {"Content_Type": "application/merge-patch+json"},
        {"Content_Encoding": "gzip"},
        {"Content_Encoding": "br"},
    ],
    ids=str,
)
def test_another_content_type_or_encoding_is_415(
    database: Database, headers: dict[str, str]
) -> None:
    response = post(build(database), "/words", {"word": "a"}, **headers)

    assert (response.status_code, response.json["code"]) == (415, "unsupported_media_type")


UNREADABLE = {
    "empty": b"",
    "null": b"null",
    "array": b"[]",
    "number": b"1",
    "text": b'"a"',
    "truncated": b'{"word": "a"',
    "trailing garbage": b'{"word": "a"} x',
    "two documents": b'{"word": "a"}{"word": "b"}',
    "duplicate keys": b'{"word": "a", "word": "b"}',
    "nested duplicates": b'{"word": {"a": 1, "a": 2}}',
    "NaN": b'{"word": "a", "count": NaN}',
    "Infinity": b'{"word": "a", "count": -Infinity}',
    "beyond every float": b'{"word": "a", "count": 1e999}',
    "beyond every float, nested": b'{"word": [{"a": -1.5E+400}]}',
    "very deep": b'{"word":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "BOM": b'\xef\xbb\xbf{"word": "a"}',
    "utf-16": '{"word": "a"}'.encode("utf-16"),
    "invalid utf-8": b'{"word": "\xff"}',
    "overlong": b'{"word": "\xc0\xaf"}',
    "lone surrogate": b'{"word": "\\ud800"}',
    "surrogate key": b'{"\\udfff": 1}',
    "huge integer": b'{"word": "a", "count": ' + b"9" * 5000 + b"}",
    "single quotes": b"{'word': 'a'}",
    "control character": b'{"word": "a\x01"}',
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_body_that_is_not_one_json_object_is_400(database: Database, name: str) -> None:
    response = post(build(database), "/words", UNREADABLE[name])

    assert (response.status_code, response.json["code"]) == (400, "unreadable_body")
    assert effects(database) == []


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/word", "required"),
        ({"word": None}, "/word", "invalid"),
        ({"word": 1}, "/word", "invalid"),
        ({"word": "a", "other": 1}, "/other", "unknown_field"),
        ({"word": "a", "a/b~c": 1}, "/a~1b~0c", "unknown_field"),
        ({"word": "a\u0000"}, "/word", "control_character"),
        ({"word": "x" * 256}, "/word", "length"),
        ({"word": "a", "count": "1"}, "/count", "invalid"),
        ({"word": "a", "count": 1.5}, "/count", "invalid"),
        ({"word": "a", "count": True}, "/count", "invalid"),
    ],
    ids=str,
)
def test_an_invalid_field_is_422_with_its_pointer(
    database: Database, body: Any, pointer: str, code: str
) -> None:
    response = post(build(database), "/words", body)

    assert (response.status_code, response.json["code"]) == (422, "invalid")
    assert [(e["pointer"], e["code"]) for e in response.json["errors"]] == [(pointer, code)]
    assert effects(database) == []


def test_authentication_comes_before_the_body(database: Database) -> None:
    response = build(database).test_client().post("/words", data=b"not json")

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_permission_comes_before_the_body(database: Database) -> None:
    from tests.chassis.sample_service import token

    assert (
        post(build(database), "/words", b"not json", bearer=token(role="viewer")).status_code == 403
    )


def test_an_acceptable_request_id_is_returned(database: Database) -> None:
    response = build(database).test_client().get("/healthz", headers={"X-Request-Id": "a-1.b:c_2"})

    assert response.headers["X-Request-Id"] == "a-1.b:c_2"


@pytest.mark.parametrize("given", ["", "x" * 129, "with space", "ünïcode", "a;b", "<script>", "{}"])
def test_any_other_request_id_is_replaced(database: Database, given: str) -> None:
    response = build(database).test_client().get("/healthz", headers={"X-Request-Id": given})

    assert response.headers["X-Request-Id"] != given
    assert response.headers["X-Request-Id"].startswith("evt_")


def test_a_request_id_does_not_end_in_a_newline() -> None:
    assert requests.accepted_id("abc\n").startswith("evt_")


def test_ready_means_that_every_dependency_responds(database: Database) -> None:
    client = build(database).test_client()

    assert client.get("/readyz").json == {"status": "ok", "checks": {"database": "ok"}}


def test_not_ready_names_what_is_unavailable_without_secrets() -> None:
    def gone() -> None:
        raise ConnectionError("postgresql://user:password@host")

    app: Flask = application.build(
        "gone", title="Gone", access=None, blueprints=[], ready={"database": gone}
    )

    response = app.test_client().get("/readyz")

    assert (response.status_code, response.json["checks"]) == (503, {"database": "ConnectionError"})
