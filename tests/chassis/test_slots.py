"""Slots: how many at once in a process, and of these for each tenant."""

import pytest
from chassis.http.slots import Busy, Shares, Slots, TooManyAtOnce

SHARES = Shares(customer=2, person=2, provider=3)


def customer(name: str) -> dict[str, int]:
    return SHARES.of(organization_id=name, kind="customer", sub="idn_1")


def staff(person: str) -> dict[str, int]:
    return SHARES.of(organization_id="provider", kind="provider", sub=person)


def test_a_customer_at_its_share_is_refused_and_others_are_not() -> None:
    slots = Slots(10, retry_after=7)
    taken = [slots.take(customer("a")) for _ in range(2)]

    with pytest.raises(TooManyAtOnce) as refused:
        slots.take(customer("a"))

    assert refused.value.extra == {"retry_after": 7}
    taken += [slots.take(customer("b")), slots.take(staff("ann"))]


def test_staff_have_a_share_each_and_one_together() -> None:
    slots = Slots(10)
    taken = [slots.take(staff(person)) for person in ("ann", "ann", "bob")]

    for person in ("ann", "bob", "eve"):
        with pytest.raises(TooManyAtOnce):
            slots.take(staff(person))

    taken.append(slots.take(customer("a")))


def test_a_process_has_so_many_slots_for_all() -> None:
    slots = Slots(2)
    first, _second = slots.take(customer("a")), slots.take(customer("b"))
    with pytest.raises(Busy):
        slots.take(customer("c"))

    first.release()

    slots.take(customer("c"))


def test_a_slot_is_freed_once_and_a_refusal_takes_none() -> None:
    slots = Slots(3)
    first, second = slots.take(customer("a")), slots.take(customer("a"))
    with pytest.raises(TooManyAtOnce):
        slots.take(customer("a"))
    first.release()
    first.release()
    with first:
        pass

    third = slots.take(customer("a"))
    with pytest.raises(TooManyAtOnce):
        slots.take(customer("a"))
    second.release()
    third.release()
    assert [slots.take(customer("a")) for _ in range(2)]


def test_a_slot_that_nobody_holds_any_more_is_free() -> None:
    slots = Slots(1)
    slots.take(customer("a"))

    assert slots.take(customer("b"))
