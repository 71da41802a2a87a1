"""Failed attempts: counted in the database, and not usable to lock out the person attacked."""

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
from membership.actions import attempts
from membership.values import attempt_limits, passwords
from membership.values.clients import Client
from sqlalchemy import event, func, select, update

pytestmark = pytest.mark.usefixtures("stopped_clock")
OLGA = "olga@customer.example"
PASSWORD = "four calm otters drift"
NEW = "seven quiet herons wait"
BROWSER = "k" * 43
HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"


def log_in(service, password="wrong", address=OLGA, *, at=HOME, browser="", client=None):
    return (client or service.client).post(
        "/v1/sessions",
        json={"email": address, "password": password},
        headers={"X-Forwarded-For": at, "X-Browser-Id": browser},
    )


def sprayed(service, number, at):
    """Try wrong passwords, each for another address."""
    return [
        log_in(service, address=f"nobody{n}@customer.example", at=at).status_code
        for n in range(number)
    ]


# --- for an account


def test_failures_elsewhere_do_not_block_a_known_client(service):
    service.owner()
    assert log_in(service, PASSWORD).status_code == 201
    assert [log_in(service, at=ELSEWHERE).status_code for _ in range(5)] == [401] * 5
    assert log_in(service, PASSWORD, at=ELSEWHERE).status_code == 429
    assert log_in(service, PASSWORD).status_code == 201
    with service.database.transaction() as session:
        session.execute(update(models.LoginFailures).values(count=attempt_limits.LOCKED_AT))
    service.clock.advance(minutes=20)
    assert log_in(service, PASSWORD, at=ELSEWHERE).status_code == 429
    service.call("POST", "/v1/password-resets", {"email": OLGA})
    service.call("POST", f"/v1/password-resets/{service.link(OLGA)}", {"password": NEW})
    assert log_in(service, NEW, at=ELSEWHERE).status_code == 201


def test_a_known_client_has_its_own_counter(service):
    service.owner()
    assert log_in(service, PASSWORD).status_code == 201
    assert [log_in(service).status_code for _ in range(5)] == [401] * 5
    assert log_in(service, PASSWORD).status_code == 429
    assert log_in(service, PASSWORD, at=ELSEWHERE).status_code == 201
    service.call("POST", "/v1/password-resets", {"email": OLGA})
    service.call("POST", f"/v1/password-resets/{service.link(OLGA)}", {"password": NEW})
    assert log_in(service, NEW).status_code == 201


def test_a_client_is_forgotten_after_a_month(service):
    service.owner()
    log_in(service, PASSWORD)
    service.clock.advance(days=31)
    assert [log_in(service, at=ELSEWHERE).status_code for _ in range(5)] == [401] * 5
    assert log_in(service, PASSWORD).status_code == 429


# --- from a client address


def test_twenty_failures_block_a_network_for_five_minutes(service):
    service.owner()
    assert sprayed(service, 20, ELSEWHERE) == [401] * 20
    refused = log_in(service, PASSWORD, at=ELSEWHERE)
    assert refused.status_code == 429 and refused.json["code"] == "too_many_attempts"
    assert 290 < int(refused.headers["Retry-After"]) <= 300
    assert log_in(service, PASSWORD).status_code == 201
    service.clock.advance(minutes=5)
    assert log_in(service, PASSWORD, at=ELSEWHERE).status_code == 201


def test_a_hundred_failures_in_an_hour_block_it_for_an_hour(service):
    service.owner()
    for _ in range(5):
        assert sprayed(service, 20, ELSEWHERE) == [401] * 20
        service.clock.advance(minutes=5)
    refused = log_in(service, PASSWORD, at=ELSEWHERE)
    assert refused.status_code == 429 and int(refused.headers["Retry-After"]) > 3000
    service.clock.advance(minutes=60)
    assert log_in(service, PASSWORD, at=ELSEWHERE).status_code == 201


def test_successful_logins_are_not_counted(service):
    service.owner()
    assert [log_in(service, PASSWORD).status_code for _ in range(22)] == [201] * 22


def ask_wrongly(service, kind, at):
    """Present a secret of this kind that nobody has."""
    method, path, body = {
        "refresh": ("POST", "/v1/sessions/refresh", {"refresh_token": "x"}),
        "key": ("POST", "/v1/sessions", {"api_key": "clk_x"}),
        "link": ("GET", "/v1/verifications/x", None),
        "reset": ("POST", "/v1/password-resets/x", {"password": NEW}),
    }[kind]
    return service.call(method, path, body, headers={"X-Forwarded-For": at})


def test_each_kind_of_secret_has_a_limit_of_its_own(service):
    for kind, status in (("refresh", 401), ("key", 401), ("link", 404)):
        assert [ask_wrongly(service, kind, HOME).status_code for _ in range(30)] == [status] * 30
        refused = ask_wrongly(service, kind, HOME)
        assert refused.status_code == 429 and 50 < int(refused.headers["Retry-After"]) <= 60
        assert ask_wrongly(service, kind, ELSEWHERE).status_code == status
    assert ask_wrongly(service, "reset", HOME).status_code == 429
    assert log_in(service, at=HOME).status_code == 401
    service.clock.advance(minutes=1)
    assert ask_wrongly(service, "refresh", HOME).status_code == 401


def test_a_valid_secret_is_never_refused_because_of_failures(service):
    _, token = service.owner()
    begun, ended = service.log_in(OLGA), service.log_in(OLGA)
    service.call("DELETE", "/v1/sessions/current", token=ended["access_token"])
    key = service.call(
        "POST", "/v1/api-keys", {"name": "cdr", "scopes": ["members:read"]}, token=token
    ).json["api_key"]
    service.call("POST", "/v1/password-resets", {"email": OLGA})
    link = f"/v1/password-resets/{service.link(OLGA)}"
    for kind in ("refresh", "key", "link"):
        statuses = [ask_wrongly(service, kind, HOME).status_code for _ in range(31)]
        assert statuses[-1] == 429

    def at_home(method, path, body=None):
        return service.call(method, path, body, headers={"X-Forwarded-For": HOME}).status_code

    sessions = "/v1/sessions"
    assert at_home("POST", sessions, {"api_key": key}) == 201
    refresh = f"{sessions}/refresh"
    assert at_home("POST", refresh, {"refresh_token": ended["refresh_token"]}) == 401
    assert at_home("POST", refresh, {"refresh_token": begun["refresh_token"]}) == 201
    assert at_home("GET", link) == 200
    assert at_home("POST", link, {"password": NEW}) == 201


# --- where the person has signed in


def test_failures_of_the_network_do_not_refuse_those_who_signed_in_there(service):
    service.owner()
    service.owner("nina@new.example")
    assert log_in(service, PASSWORD).status_code == 201
    sprayed(service, 20, HOME)

    assert log_in(service, PASSWORD, "nina@new.example").status_code == 429
    assert log_in(service, address="nobody@customer.example").status_code == 429
    assert [log_in(service).status_code for _ in range(4)] == [429] * 4
    assert log_in(service, PASSWORD).status_code == 201


def test_passwords_are_guessed_no_faster_while_the_network_is_blocked(service):
    service.owner()
    assert log_in(service, PASSWORD).status_code == 201
    sprayed(service, 20, HOME)
    for _ in range(5):
        log_in(service)

    refused = log_in(service, PASSWORD)

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")


def test_a_known_browser_has_a_small_limit_of_its_own(service):
    service.owner()
    assert log_in(service, PASSWORD, browser=BROWSER).status_code == 201
    sprayed(service, 20, HOME)
    for _ in range(5):
        log_in(service)
    for _ in range(5):
        log_in(service, at=ELSEWHERE)
    assert log_in(service, PASSWORD).status_code == 429
    assert log_in(service, PASSWORD, at=ELSEWHERE).status_code == 429
    assert log_in(service, PASSWORD, at=ELSEWHERE, browser="b" * 43).status_code == 429

    assert log_in(service, PASSWORD, browser=BROWSER).status_code == 201
    assert log_in(service, PASSWORD, at=ELSEWHERE, browser=BROWSER).status_code == 201
    service.clock.advance(minutes=16)
    assert [log_in(service, browser=BROWSER).status_code for _ in range(5)] == [401] * 5
    assert log_in(service, PASSWORD, at="192.0.2.1", browser=BROWSER).status_code == 429
    assert log_in(service, PASSWORD).status_code == 201


def test_a_browser_is_known_to_its_person_for_a_month(service):
    service.owner()
    service.owner("nina@new.example")
    assert log_in(service, PASSWORD, browser=BROWSER).status_code == 201
    for address in (OLGA, "nina@new.example"):
        for _ in range(5):
            log_in(service, address=address, at=ELSEWHERE)

    def tried(address):
        at = "192.0.2.1"
        return log_in(service, PASSWORD, address, at=at, browser=BROWSER).status_code

    assert tried("nina@new.example") == 429
    service.clock.advance(days=31)
    for _ in range(5):
        log_in(service, at=ELSEWHERE)
    assert tried(OLGA) == 429


@pytest.mark.parametrize("browser", ["", "guessable", "x" * 129, "ü" * 40])
def test_an_id_that_is_not_random_identifies_no_browser(browser):
    assert Client.of(HOME, browser).browser == b""


def test_counters_are_deleted_after_their_retention(service):
    service.owner()
    log_in(service, PASSWORD)
    sprayed(service, 3, ELSEWHERE)
    service.call("GET", "/v1/verifications/x")
    kept = (models.FailedAttempts, models.LoginFailures, models.KnownClient)

    def sweep():
        while jobs.report_failed_attempts(service.database, clock.now(), service.settings):
            pass
        jobs.delete_expired(service.database, clock.now(), service.settings)
        with service.database.reading() as session:
            return [session.scalar(select(func.count()).select_from(model)) for model in kept]

    assert all(sweep())
    service.clock.advance(days=1, hours=1)
    assert sweep()[:2] == [0, 0]
    service.clock.advance(days=30)
    assert sweep() == [0, 0, 0]


# --- by brute force


@contextmanager
def workers(service, number) -> Iterator[list]:
    """Applications with connections of their own, like separate processes."""
    databases = [Database(service.database.url) for _ in range(number)]
    apps = [
        application.SERVICE.create_app(service.settings, database, {}) for database in databases
    ]
    try:
        yield [app.test_client() for app in apps]
    finally:
        for database in databases:
            database.close()


def test_eight_workers_and_a_restart_allow_no_more_attempts_than_one(service):
    """Five attempts at once, then one after each delay, whatever the worker and the restarts."""
    service.owner()

    def guess(numbered):
        n, client = numbered
        return log_in(service, f"wrong {n}", at=f"203.0.113.{n}", client=client).status_code

    for wait, allowed in ((0, 5), (1, 1), (2, 1)):
        service.clock.advance(seconds=wait)
        with workers(service, 8 if wait < 2 else 1) as clients, ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(guess, enumerate(clients * 2)))
        assert answers.count(401) == allowed and set(answers) == {401, 429}


def test_eight_workers_together_allow_twenty_attempts_from_one_network(service):
    service.owner()

    def guess(numbered):
        n, client = numbered
        return log_in(
            service, address=f"nobody{n}@customer.example", at=ELSEWHERE, client=client
        ).status_code

    with workers(service, 8) as clients, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(guess, enumerate(clients * 5)))
    assert answers.count(401) == 20 and answers.count(429) == 20
    with workers(service, 1) as [client]:
        assert log_in(service, PASSWORD, at=ELSEWHERE, client=client).status_code == 429


# --- who is known


def test_responses_do_not_reveal_whether_an_address_is_known(service):
    service.owner()
    hashed, statements = [], []

    class Spy(passwords.Hasher):
        def matches(self, kept, password):
            hashed.append(password)
            return super().matches(kept, password)

    def seen(_connection, _cursor, statement, *_):
        statements.append(statement)

    def ask(address, path="/v1/sessions", **body):
        hashed.clear()
        statements.clear()
        headers = {"X-Request-Id": "one", "X-Forwarded-For": HOME}
        answer = service.client.post(path, json={"email": address, **body}, headers=headers)
        headers = {name: value for name, value in answer.headers.items() if name != "Date"}
        return (
            answer.status_code,
            answer.json,
            headers,
            len(hashed),
            [line.split()[:2] for line in statements],
        )

    service.app.extensions["hasher"] = Spy(memory_kib=8, passes=1)
    event.listen(service.database.engine, "before_cursor_execute", seen)
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
        event.remove(service.database.engine, "before_cursor_execute", seen)


@pytest.mark.exhaustive  # it compares measured times
def test_response_times_do_not_reveal_it_either(service, monkeypatch):
    """The time of the processor, taken in turn: what else this machine does counts for neither."""
    service.owner()
    monkeypatch.setattr(attempt_limits, "FREE_FAILURES", 10_000)
    monkeypatch.setattr(attempt_limits, "LOCKED_AT", 10_000)
    took = {OLGA: [], "nobody@customer.example": []}
    for n in range(60):
        for address, times in took.items():
            begun = time.process_time()
            assert log_in(service, address=address, at=f"203.0.113.{n}").status_code == 401
            times.append(time.process_time() - begun)
    known, unknown = (statistics.median(times) for times in took.values())
    assert 1 / 1.5 < known / unknown < 1.5


def test_invented_browsers_do_not_add_up(service):
    service.owner()
    for number in range(attempts.KNOWN_CLIENTS + 5):
        service.clock.advance(seconds=2)
        assert log_in(service, PASSWORD, browser=f"{number:043}").status_code == 201

    with service.database.reading() as session:
        known = session.scalar(select(func.count()).select_from(models.KnownClient))
    assert known == attempts.KNOWN_CLIENTS


def test_any_number_of_counters_can_be_deleted(service):
    """PostgreSQL takes no more than 65,535 parameters in a statement."""
    keys = {number.to_bytes(32) for number in range(33_000)}

    with service.database.transaction() as session:
        attempts.clear_addresses(session, keys=keys)
