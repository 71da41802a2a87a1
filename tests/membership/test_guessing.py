"""Guessing: counted in the database, and no weapon against whoever is guessed at."""

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from chassis.db.database import Database
from chassis.runtime import clock
from membership import app as application
from membership import jobs, models
from membership.values import attempt_limits, networks, passwords
from sqlalchemy import event, func, select, update

OLGA = "olga@customer.example"
PASSWORD = "four calm otters drift"
NEW = "seven quiet herons wait"
HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"


def log_in(world, password="wrong", address=OLGA, *, at=HOME, client=None):
    return (client or world.client).post(
        "/v1/sessions",
        json={"email": address, "password": password},
        headers={"X-Forwarded-For": at},
    )


def sprayed(world, number, at):
    """Wrong passwords, each for another address."""
    return [
        log_in(world, address=f"nobody{n}@customer.example", at=at).status_code
        for n in range(number)
    ]


# --- for an account


def test_who_guesses_elsewhere_keeps_nobody_out_of_where_they_have_logged_in_before(world):
    world.owner()
    assert log_in(world, PASSWORD).status_code == 201
    assert [log_in(world, at=ELSEWHERE).status_code for _ in range(5)] == [401] * 5
    assert log_in(world, PASSWORD, at=ELSEWHERE).status_code == 429
    assert log_in(world, PASSWORD).status_code == 201
    with world.database.transaction() as session:
        session.execute(update(models.LoginFailures).values(count=attempt_limits.LOCKED_AT))
    world.clock.pass_(minutes=20)
    assert log_in(world, PASSWORD, at=ELSEWHERE).status_code == 429
    world.call("POST", "/v1/password-resets", {"email": OLGA})
    world.call("POST", f"/v1/password-resets/{world.link(OLGA)}", {"password": NEW})
    assert log_in(world, NEW, at=ELSEWHERE).status_code == 201


def test_who_guesses_there_too_meets_a_counter_of_its_own(world):
    world.owner()
    assert log_in(world, PASSWORD).status_code == 201
    assert [log_in(world).status_code for _ in range(5)] == [401] * 5
    assert log_in(world, PASSWORD).status_code == 429
    assert log_in(world, PASSWORD, at=ELSEWHERE).status_code == 201
    world.call("POST", "/v1/password-resets", {"email": OLGA})
    world.call("POST", f"/v1/password-resets/{world.link(OLGA)}", {"password": NEW})
    assert log_in(world, NEW).status_code == 201


def test_where_nobody_was_for_a_month_is_elsewhere_again(world):
    world.owner()
    log_in(world, PASSWORD)
    world.clock.pass_(days=31)
    assert [log_in(world, at=ELSEWHERE).status_code for _ in range(5)] == [401] * 5
    assert log_in(world, PASSWORD).status_code == 429


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:0:7::1", "2001:DB8:0:7:ffff::2", True),
        ("2001:db8:0:7::1", "2001:db8:0:8::1", False),
        ("::ffff:198.51.100.7", "198.51.100.7", True),
        ("198.51.100.7", "198.51.100.8", False),
        ("", "x", False),
    ],
)
def test_one_network_is_one_client(one, other, same):
    assert (networks.digest(one) == networks.digest(other)) is same


# --- from a client address


def test_twenty_failures_from_one_address_shut_it_for_five_minutes(world):
    world.owner()
    assert sprayed(world, 20, ELSEWHERE) == [401] * 20
    refused = log_in(world, PASSWORD, at=ELSEWHERE)
    assert refused.status_code == 429 and refused.json["code"] == "too_many_attempts"
    assert 290 < int(refused.headers["Retry-After"]) <= 300
    assert log_in(world, PASSWORD).status_code == 201
    world.clock.pass_(minutes=5)
    assert log_in(world, PASSWORD, at=ELSEWHERE).status_code == 201


def test_a_hundred_in_an_hour_shut_it_for_an_hour(world):
    world.owner()
    for _ in range(5):
        assert sprayed(world, 20, ELSEWHERE) == [401] * 20
        world.clock.pass_(minutes=5)
    refused = log_in(world, PASSWORD, at=ELSEWHERE)
    assert refused.status_code == 429 and int(refused.headers["Retry-After"]) > 3000
    world.clock.pass_(minutes=60)
    assert log_in(world, PASSWORD, at=ELSEWHERE).status_code == 201


def test_what_succeeds_is_not_counted(world):
    world.owner()
    assert [log_in(world, PASSWORD).status_code for _ in range(22)] == [201] * 22


def test_look_ups_that_lead_nowhere_are_counted_per_address(world):
    world.owner()
    world.call("POST", "/v1/password-resets", {"email": OLGA})
    link = f"/v1/password-resets/{world.link(OLGA)}"

    def ask(n, at):
        headers = {"X-Forwarded-For": at}
        return (
            world.call("GET", f"/v1/verifications/{n}", headers=headers),
            world.call("POST", f"/v1/password-resets/{n}", {"password": NEW}, headers=headers),
            world.call("POST", "/v1/sessions/refresh", {"refresh_token": f"{n}"}, headers=headers),
        )

    answers = [a.status_code for n in range(10) for a in ask(n, ELSEWHERE)]
    assert answers == [404, 404, 401] * 10
    for refused in (
        *ask(10, ELSEWHERE),
        world.call("GET", link, headers={"X-Forwarded-For": ELSEWHERE}),
    ):
        assert refused.status_code == 429 and 50 < int(refused.headers["Retry-After"]) <= 60
    for _ in range(31):
        assert world.call("GET", link, headers={"X-Forwarded-For": HOME}).status_code == 200
    world.clock.pass_(minutes=1)
    assert world.call("GET", link, headers={"X-Forwarded-For": ELSEWHERE}).status_code == 200


def test_what_was_counted_is_forgotten_in_time(world):
    world.owner()
    log_in(world, PASSWORD)
    sprayed(world, 3, ELSEWHERE)
    world.call("GET", "/v1/verifications/x")
    kept = (models.FailedAttempts, models.LoginFailures, models.KnownClient)

    def sweep():
        while jobs.report_failed_attempts(world.database, clock.now(), world.settings):
            pass
        jobs.delete_expired(world.database, clock.now(), world.settings)
        with world.database.reading() as session:
            return [session.scalar(select(func.count()).select_from(model)) for model in kept]

    assert all(sweep())
    world.clock.pass_(days=1, hours=1)
    assert sweep()[:2] == [0, 0]
    world.clock.pass_(days=30)
    assert sweep() == [0, 0, 0]


# --- by brute force


@contextmanager
def workers(world, number) -> Iterator[list]:
    """As many processes as far as the database can tell: applications of their own, each with its
    own connections."""
    databases = [Database(world.database.url) for _ in range(number)]
    apps = [application.create_app(world.settings, database, {}) for database in databases]
    try:
        yield [app.test_client() for app in apps]
    finally:
        for database in databases:
            database.close()


def test_eight_workers_and_a_restart_answer_no_more_guesses_than_one(world):
    """Five answers at once, then one after each wait, whichever worker is asked and however often
    it is started."""
    world.owner()

    def guess(numbered):
        n, client = numbered
        return log_in(world, f"wrong {n}", at=f"203.0.113.{n}", client=client).status_code

    for wait, allowed in ((0, 5), (1, 1), (2, 1)):
        world.clock.pass_(seconds=wait)
        with workers(world, 8 if wait < 2 else 1) as clients, ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(guess, enumerate(clients * 2)))
        assert answers.count(401) == allowed and set(answers) == {401, 429}


def test_eight_workers_together_answer_twenty_guesses_from_one_address(world):
    world.owner()

    def guess(numbered):
        n, client = numbered
        return log_in(
            world, address=f"nobody{n}@customer.example", at=ELSEWHERE, client=client
        ).status_code

    with workers(world, 8) as clients, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(guess, enumerate(clients * 5)))
    assert answers.count(401) == 20 and answers.count(429) == 20
    with workers(world, 1) as [client]:
        assert log_in(world, PASSWORD, at=ELSEWHERE, client=client).status_code == 429


# --- who is known


def test_nobody_learns_from_an_answer_whether_an_address_is_known(world):
    world.owner()
    hashed, asked = [], []

    class Spy(passwords.Hasher):
        def matches(self, kept, password):
            hashed.append(password)
            return super().matches(kept, password)

    def seen(_connection, _cursor, statement, *_):
        asked.append(statement)

    def ask(address, path="/v1/sessions", **body):
        hashed.clear()
        asked.clear()
        headers = {"X-Request-Id": "one", "X-Forwarded-For": HOME}
        answer = world.client.post(path, json={"email": address, **body}, headers=headers)
        told = {name: value for name, value in answer.headers.items() if name != "Date"}
        return (
            answer.status_code,
            answer.json,
            told,
            len(hashed),
            [line.split()[:2] for line in asked],
        )

    world.app.extensions["hasher"] = Spy(memory_kib=8, passes=1)
    event.listen(world.database.engine, "before_cursor_execute", seen)
    try:
        for path, body in (("/v1/sessions", {"password": "wrong"}), ("/v1/password-resets", {})):
            ask(
                "somebody@customer.example", path, **body
            )  # the client address is counted from now on
        for _ in range(6):
            assert ask(OLGA, password="wrong") == ask("nobody@customer.example", password="wrong")
        assert ask(OLGA, password="wrong")[0] == 429
        known, unknown = (ask(a, "/v1/password-resets") for a in (OLGA, "nobody@customer.example"))
        assert known == unknown and known[0] == 202
    finally:
        event.remove(world.database.engine, "before_cursor_execute", seen)


def test_nobody_learns_from_the_time_an_answer_takes_either(world, monkeypatch):
    """The time of the processor, taken in turn: what else this machine does counts for neither."""
    world.owner()
    monkeypatch.setattr(attempt_limits, "FREE_FAILURES", 10_000)
    monkeypatch.setattr(attempt_limits, "LOCKED_AT", 10_000)
    took = {OLGA: [], "nobody@customer.example": []}
    for n in range(60):
        for address, times in took.items():
            begun = time.process_time()
            assert log_in(world, address=address, at=f"203.0.113.{n}").status_code == 401
            times.append(time.process_time() - begun)
    known, unknown = (statistics.median(times) for times in took.values())
    assert 1 / 1.5 < known / unknown < 1.5
