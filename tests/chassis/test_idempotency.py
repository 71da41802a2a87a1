"""Idempotency keys: the effect once, the same response every time."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from chassis.db.database import Database
from chassis.http import idempotency
from chassis.http.idempotency import IdempotencyKey
from chassis.messaging import outbox
from chassis.runtime import clock, failpoints, ids
from sqlalchemy import event
from sqlalchemy.orm import Session

from tests.chassis.messages import effects, opened, rows
from tests.chassis.sample_service import Word, build, post, token

pytestmark = pytest.mark.both_databases


def test_the_same_key_replays_the_first_response(database: Database) -> None:
    app = build(database)
    first = post(app, "/words", {"word": "a", "count": 1}, key="k")

    again = post(app, "/words", {"count": 1, "word": "a"}, key="k")

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.data == first.data
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert effects(database) == ["a"]


def test_the_stored_response_survives_a_restart(database: Database) -> None:
    first = post(build(database), "/words", {"word": "a"}, key="k")

    again = post(build(database), "/words", {"word": "a"}, key="k")

    assert again.data == first.data
    assert effects(database) == ["a"]


@pytest.mark.parametrize(("word", "status"), [("conflict", 409), ("gone", 410)])
def test_a_conflict_is_stored_and_its_effect_is_not(
    database: Database, word: str, status: int
) -> None:
    app = build(database)
    first = post(app, "/words", {"word": word}, key="k")

    again = post(app, "/words", {"word": word}, key="k")

    assert (first.status_code, again.status_code) == (status, status)
    assert again.data == first.data
    assert again.content_type == "application/problem+json"
    assert again.headers["Idempotent-Replayed"] == "true"
    assert effects(database) == []


@pytest.mark.parametrize(("word", "status"), [("invalid", 422), ("broken", 500)])
def test_invalid_requests_and_internal_errors_are_not_stored(
    database: Database, word: str, status: int
) -> None:
    app = build(database)

    response = post(app, "/words", {"word": word}, key="k")

    assert response.status_code == status
    assert rows(database, IdempotencyKey) == []
    assert effects(database) == []
    assert post(app, "/words", {"word": "better"}, key="k").status_code == 201


def test_the_same_key_with_another_body_is_rejected(database: Database) -> None:
    app = build(database)
    post(app, "/words", {"word": "a"}, key="k")

    response = post(app, "/words", {"word": "b"}, key="k")

    assert (response.status_code, response.json["code"]) == (422, "idempotency_key_reused")
    assert effects(database) == ["a"]


@pytest.mark.parametrize(
    "other",
    [{"sub": "idn_other"}, {"org": ids.new("org")}],
    ids=["another principal", "another organization"],
)
def test_the_same_key_of_another_caller_is_another_key(
    database: Database, other: dict[str, str]
) -> None:
    app = build(database)
    post(app, "/words", {"word": "a"}, key="k")

    response = post(app, "/words", {"word": "b"}, key="k", bearer=token(**other))

    assert response.status_code == 201
    assert effects(database) == ["a", "b"]


def test_the_same_key_on_another_route_is_another_key(database: Database) -> None:
    app = build(database)
    post(app, "/words", {"word": "a"}, key="k")

    assert post(app, "/money", {"word": "b"}, key="k").status_code == 201


def test_a_route_can_require_a_key(database: Database) -> None:
    response = post(build(database), "/money", {"word": "a"})

    assert (response.status_code, response.json["code"]) == (400, "idempotency_key_required")
    assert effects(database) == []


@pytest.mark.parametrize("key", ["", "x" * 256, "with space", "tab\t", "ümlaut", "\x7f"])
def test_a_key_has_visible_characters_only(database: Database, key: str) -> None:
    response = post(build(database), "/words", {"word": "a"}, key=key)

    assert (response.status_code, response.json["code"]) == (400, "idempotency_key_invalid")
    assert effects(database) == []


def test_the_longest_key_is_accepted(database: Database) -> None:
    app = build(database)

    assert [post(app, "/words", {"word": "a"}, key="~" * 255).status_code for _ in range(2)] == [
        201,
        201,
    ]
    assert effects(database) == ["a"]


def test_a_response_with_a_secret_is_never_stored(database: Database) -> None:
    app = build(database)

    for _ in range(2):
        post(app, "/secrets", {"word": "a"}, key="k")

    assert rows(database, IdempotencyKey) == []
    assert effects(database) == ["a", "a"]


def test_twenty_at_once_with_one_key_have_one_effect(database: Database) -> None:
    app, together, responses = build(database), threading.Barrier(20), []

    def send() -> None:
        together.wait()
        responses.append(post(app, "/words", {"word": "a"}, key="k"))

    threads = [threading.Thread(target=send) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert effects(database) == ["a"]
    codes = {response.status_code for response in responses}
    assert codes <= {201, 409}
    assert len({response.data for response in responses if response.status_code == 201}) == 1
    assert {a.json["code"] for a in responses if a.status_code == 409} <= {
        "idempotency_key_in_progress"
    }


def test_while_the_first_request_is_running_the_second_is_409(
    postgres_database: Database,
) -> None:
    inside, go_on, first = threading.Event(), threading.Event(), []

    def hold() -> None:
        inside.set()
        go_on.wait(10)

    app = build(postgres_database, hold)
    thread = threading.Thread(
        target=lambda: first.append(post(app, "/words", {"word": "a"}, key="k"))
    )
    thread.start()
    inside.wait(10)

    response = post(app, "/words", {"word": "a"}, key="k")

    go_on.set()
    thread.join()
    assert (response.status_code, response.json["code"]) == (409, "idempotency_key_in_progress")
    assert int(response.headers["Retry-After"]) >= 1
    assert first[0].status_code == 201


def test_the_failpoint_before_the_commit_comes_after_every_write(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    monkeypatch.setattr(failpoints, "hit", steps.append)
    event.listen(
        database.engine, "before_cursor_execute", lambda *arguments: steps.append(arguments[2])
    )

    def act(session: Session) -> dict[str, str]:
        outbox.publish(session, opened(ids.new("org")))
        return {"word": "a"}

    with build(database).test_request_context("/words", method="POST"):
        idempotency.change(Word(), act, status=201)

    writes = [step for step in steps if step.startswith("INSERT INTO outbox")]
    assert len(writes) == 1
    assert steps.index(writes[0]) < steps.index("application.before_commit")


def test_keys_are_deleted_after_thirty_days(database: Database) -> None:
    post(build(database), "/words", {"word": "a"}, key="k")
    at = clock.now() + idempotency.RETENTION

    def delete(now: Any) -> int:
        with database.transaction() as session:
            return idempotency.delete_expired(session, now)

    assert delete(at - timedelta(minutes=1)) == 0
    assert delete(at + timedelta(minutes=1)) == 1
