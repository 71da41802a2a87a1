"""The table of sagas is consistent: every state is reached, left, and asks who replies."""

from collections import defaultdict
from typing import get_type_hints

import pytest
from contracts import Message
from org.sagas import TABLE
from org.sagas.table import END, first_state, request_in

STATES = sorted({(row.saga, row.waiting_for) for row in TABLE.values()})


@pytest.mark.parametrize(("saga", "state"), STATES)
def test_a_state_sends_one_request_to_those_who_reply(saga: str, state: str) -> None:
    rows = {
        reply: row for reply, row in TABLE.items() if (row.saga, row.waiting_for) == (saga, state)
    }
    request: type[Message] = get_type_hints(request_in(saga, state))["return"]

    assert {row.request for row in rows.values()} == {request_in(saga, state)}
    assert tuple({reply.producer() for reply in rows}) == request.CONSUMERS


def test_every_state_is_reached_and_every_saga_ends() -> None:
    following = defaultdict(set)
    for row in TABLE.values():
        following[row.saga, row.waiting_for].add(row.next)
    for saga in {saga for saga, _ in STATES}:
        reached, open_states = set(), {first_state(saga)}
        while open_states:
            state = open_states.pop()
            reached.add(state)
            open_states |= following[saga, state] - reached - {END}

        assert {(saga, state) for state in reached} == {s for s in STATES if s[0] == saga}
        assert any(END in following[saga, state] for state in reached)
