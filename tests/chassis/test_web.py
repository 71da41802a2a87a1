"""What every answer looks like, and what is refused before a view is asked."""

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

from tests.chassis.doors import build, post
from tests.chassis.messages import effects


@pytest.fixture
def raising() -> Callable[[Exception], Any]:
    """The answer to a view that raises this."""

    def knock(problem: Exception) -> Any:
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

    return knock


@pytest.mark.parametrize(("kind", "status"), problems.STATUS.items())
def test_each_kind_of_failure_is_a_problem_with_its_status(
    raising: Any, kind: type[errors.Failure], status: int
) -> None:
    answer = raising(kind("What is wrong.", code="a_code"))

    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    told = answer.json
    assert (told["status"], told["code"], told["detail"]) == (status, "a_code", "What is wrong.")
    assert told["type"] == "urn:clientele:problem:a_code"
    assert told["title"] == "A code"
    assert told["instance"] == f"/raise#{answer.headers['X-Request-Id']}"
    assert answer.headers["Cache-Control"] == "no-store"
    assert ("Retry-After" in answer.headers) == (status in (429, 503))


def test_a_failure_carries_its_own_code_detail_and_members(raising: Any) -> None:
    class NotEnough(errors.Conflict):
        code = "too_little"
        detail = "The balance is too low."

    answer = raising(NotEnough(shortfall="5.00"))

    assert answer.json["code"] == "too_little"
    assert answer.json["detail"] == "The balance is too low."
    assert answer.json["shortfall"] == "5.00"


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


def test_a_crash_tells_nothing_of_the_inside(raising: Any) -> None:
    answer = raising(RuntimeError("SELECT secret FROM inside"))

    assert answer.status_code == 500
    assert answer.json["code"] == "internal_error"
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


def test_a_database_that_is_away_is_503(raising: Any) -> None:
    answer = raising(OperationalError("SELECT", {}, Exception("connection refused at 10.0.0.7")))

    assert (answer.status_code, answer.json["code"]) == (503, "service_unavailable")
    assert "10.0.0.7" not in answer.text
    assert answer.headers["Retry-After"]


@pytest.mark.parametrize(
    "header", ["", "Basic", "Basic \xe9", "Basic a", "Basic ====", "Basic /w==", "Bearer eDp5"]
)
def test_whatever_is_no_service_and_secret_is_401_at_the_inner_door(
    database: Database, header: str
) -> None:
    answer = (
        build(database)
        .test_client()
        .get("/internal/openapi.json", headers={"Authorization": header})
    )

    assert (answer.status_code, answer.json["code"]) == (401, "internal_only")


def test_the_document_describes_errors_as_problem_json(database: Database) -> None:
    """flask-smorest documents errors as application/json in a private method that we override: a
    new version may no longer call it."""
    components = build(database).extensions["openapi"].spec.to_dict()["components"]

    for name in ("Problem", "UNPROCESSABLE_ENTITY"):
        content = components["responses"][name]["content"]
        assert content == {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        }


def test_an_unknown_path_is_404(database: Database) -> None:
    answer = build(database).test_client().get("/nowhere")

    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


def test_a_wrong_method_is_405_and_names_the_right_ones(database: Database) -> None:
    answer = build(database).test_client().put("/words")

    assert (answer.status_code, answer.json["code"]) == (405, "method_not_allowed")
    assert "POST" in answer.headers["Allow"]


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
    answer = post(build(database), "/words", {"word": "a"}, **headers)

    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")


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
def test_what_is_not_one_json_object_is_400(database: Database, name: str) -> None:
    answer = post(build(database), "/words", UNREADABLE[name])

    assert (answer.status_code, answer.json["code"]) == (400, "unreadable_body")
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
def test_a_wrong_field_is_422_and_pointed_at(
    database: Database, body: Any, pointer: str, code: str
) -> None:
    answer = post(build(database), "/words", body)

    assert (answer.status_code, answer.json["code"]) == (422, "invalid")
    assert [(e["pointer"], e["code"]) for e in answer.json["errors"]] == [(pointer, code)]
    assert effects(database) == []


def test_authentication_comes_before_the_body(database: Database) -> None:
    answer = build(database).test_client().post("/words", data=b"not json")

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_permission_comes_before_the_body(database: Database) -> None:
    from tests.chassis.doors import token

    assert (
        post(build(database), "/words", b"not json", bearer=token(role="viewer")).status_code == 403
    )


def test_a_sane_request_id_is_given_back(database: Database) -> None:
    answer = build(database).test_client().get("/healthz", headers={"X-Request-Id": "a-1.b:c_2"})

    assert answer.headers["X-Request-Id"] == "a-1.b:c_2"


@pytest.mark.parametrize("given", ["", "x" * 129, "with space", "ünïcode", "a;b", "<script>", "{}"])
def test_any_other_request_id_is_replaced(database: Database, given: str) -> None:
    answer = build(database).test_client().get("/healthz", headers={"X-Request-Id": given})

    assert answer.headers["X-Request-Id"] != given
    assert answer.headers["X-Request-Id"].startswith("evt_")


def test_a_request_id_does_not_end_in_a_newline() -> None:
    assert requests.accepted_id("abc\n").startswith("evt_")


def test_ready_means_that_what_is_needed_answers(database: Database) -> None:
    client = build(database).test_client()

    assert client.get("/readyz").json == {"status": "ok", "checks": {"database": "ok"}}


def test_not_ready_names_what_is_missing_without_its_secrets() -> None:
    def gone() -> None:
        raise ConnectionError("postgresql://user:password@host")

    app: Flask = application.build(
        "gone", title="Gone", access=None, blueprints=[], ready={"database": gone}
    )

    answer = app.test_client().get("/readyz")

    assert (answer.status_code, answer.json["checks"]) == (503, {"database": "ConnectionError"})
