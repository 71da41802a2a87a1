"""How often a feed of revocations is read."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from chassis.errors import Unavailable
from gateway.clients import Feed, feeds

from tests.waiting import until

LONG = 3600.0


class Service:
    """Has a number of entries."""

    def __init__(self) -> None:
        self.entries = self.reads = 0
        self.is_down = False

    def get(self, path: str) -> dict[str, Any]:
        self.reads += 1
        if self.is_down:
            raise Unavailable("Down.", code="service_unavailable")
        after = int(path.partition("after=")[2])
        return {
            "entries": [{"seq": n + 1} for n in range(after, self.entries)],
            "last": self.entries,
        }


Follow = Callable[..., tuple[Service, Feed, list[int]]]


@pytest.fixture
def follow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Follow]:
    monkeypatch.setattr(feeds, "_PATIENCE", LONG)
    started: list[Feed] = []

    def start(pause: float) -> tuple[Service, Feed, list[int]]:
        service, learned = Service(), list[int]()
        feed = Feed(
            service,  # type: ignore[arg-type]
            lambda entry: learned.append(entry["seq"]),
            silence=LONG,
            pause=pause,
        )
        started.append(feed)
        feed.start()
        return service, feed, learned

    yield start
    for feed in started:
        feed.stop()


def rests(feed: Feed) -> bool:
    return feed._loaded.is_set() and not feed._current.is_set()


def request(feed: Feed) -> None:
    """What the guard does for each request."""
    feed.ask()
    feed.check_current()


def test_the_first_request_after_a_rest_knows_what_was_revoked_meanwhile(follow: Follow) -> None:
    service, feed, learned = follow(pause=0.001)
    for entries in (1, 2, 3):
        until(lambda: rests(feed))
        service.entries = entries

        request(feed)

        assert learned == list(range(1, entries + 1))


def test_a_feed_is_read_again_and_again_while_there_are_requests(follow: Follow) -> None:
    service, feed, learned = follow(pause=0.001)

    def knows(entries: int) -> bool:
        request(feed)
        return len(learned) == entries

    for entries in range(1, 50):
        service.entries = entries
        until(lambda: knows(entries))  # noqa: B023 - called before the loop goes on


def test_readiness_does_not_end_the_rest_of_a_feed(follow: Follow) -> None:
    service, feed, _ = follow(pause=0.001)
    until(lambda: rests(feed))
    reads = service.reads

    for _ in range(100):
        feed.check()

    assert (service.reads, rests(feed)) == (reads, True)


def test_requests_do_not_wait_for_a_feed_that_failed(follow: Follow) -> None:
    """What it said last is still good for a while."""
    service, feed, _ = follow(pause=LONG)
    until(lambda: rests(feed))
    service.is_down = True
    reads = service.reads

    request(feed)
    request(feed)

    assert (service.reads, rests(feed)) == (reads + 1, False)
