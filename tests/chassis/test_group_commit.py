"""Groups: what concurrent threads submit runs together, and a group that fails fails alone."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from chassis.db.group_commit import MOST, GroupCommit


class Groups:
    """Doubles numbers, in groups whose sizes it remembers. The first group ends when told to."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.began, self.may_end = threading.Event(), threading.Event()
        self.groups: GroupCommit[int, int] = GroupCommit(self.run)

    def run(self, items: Sequence[int]) -> list[int | None]:
        self.sizes.append(len(items))
        if len(self.sizes) == 1:
            self.began.set()
            assert self.may_end.wait(60)
        if 13 in items:
            raise ValueError("the database has gone")
        return [None if item < 0 else 2 * item for item in items]

    def submit_during_first(
        self, pool: ThreadPoolExecutor, items: Sequence[int]
    ) -> list[int | None]:
        """Submit the items while the first group runs, which is that of 100."""
        first: Future[int | None] = pool.submit(self.groups.submit, 100)
        assert self.began.wait(60)
        others = [pool.submit(self.groups.submit, item) for item in items]
        while self.groups.waiting < len(items):
            threading.Event().wait(0.001)
        self.may_end.set()
        assert first.result(60) == 200
        return [other.result(60) for other in others]


def test_one_alone_does_not_wait_for_others() -> None:
    groups = Groups()
    groups.may_end.set()
    assert [groups.groups.submit(1), groups.groups.submit(2)] == [2, 4]
    assert groups.sizes == [1, 1]


def test_those_who_come_while_a_group_runs_form_the_next_one() -> None:
    groups = Groups()
    with ThreadPoolExecutor(6) as pool:
        assert groups.submit_during_first(pool, [1, 2, 3, 4, -5]) == [2, 4, 6, 8, None]
    assert groups.sizes == [1, 5]


def test_a_group_has_a_largest_size() -> None:
    groups = Groups()
    with ThreadPoolExecutor(MOST + 3) as pool:
        results = groups.submit_during_first(pool, range(20, MOST + 22))
    assert results == [2 * n for n in range(20, MOST + 22)]
    assert groups.sizes == [1, MOST, 2]


def test_a_group_that_fails_leaves_its_members_to_themselves_and_harms_no_other() -> None:
    groups = Groups()
    with ThreadPoolExecutor(4) as pool:
        assert groups.submit_during_first(pool, [1, 13, 3]) == [None, None, None]
    assert groups.groups.submit(4) == 8
    assert groups.sizes == [1, 3, 1]
