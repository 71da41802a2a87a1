"""The formulas, with the worked examples of the domain, without a database."""

from datetime import UTC, datetime, timedelta

import pytest
from billing.models import Account, Blocker, Buckets, Figures
from billing.values import Code, Transfer, parse_money
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 1, 31, 9, tzinfo=UTC)


def money(text):
    return parse_money(text, signed=True, zero=True)


def figures(mode, limit, **buckets):
    return Figures(
        payment_mode=mode,
        limit=money(limit),
        **{name: money(amount) for name, amount in buckets.items()},
    )


@pytest.mark.parametrize(
    ("limit", "buckets", "usable", "balance", "limit_used"),
    [
        ("2000", {"prepaid": "86.10148"}, "2086.10148", "86.10148", "0"),
        ("100", {"prepaid": "-8.67"}, "91.33", "-8.67", "8.67"),
        ("100", {"prepaid": "50", "held": "30"}, "120", "20", "0"),
        ("100", {"prepaid": "20"}, "120", "20", "0"),
        ("100", {"prepaid": "50"}, "150", "50", "0"),
        ("50", {"prepaid": "-20"}, "30", "-20", "20"),
    ],
)
def test_prepaid_figures(limit, buckets, usable, balance, limit_used):
    result = figures("prepaid", limit, **buckets)
    assert (result.usable, result.balance, result.limit_used) == (
        money(usable),
        money(balance),
        money(limit_used),
    )
    assert result.current_balance == result.balance
    assert (result.expecting_invoice, result.amount_due) == (0, 0)
    assert result.balance == result.usable - result.limit


@pytest.mark.parametrize(
    ("limit", "buckets", "usable", "expecting", "due", "current"),
    [
        (
            "2000",
            {"invoiced": "1610.61", "unbilled": "0.20544"},
            "1999.79456",
            "-0.20544",
            "-1610.61",
            "-1610.81544",
        ),
        (
            "2000",
            {"invoiced": "1610.61", "unbilled": "0.20544", "held": "5"},
            "1994.79456",
            "-0.20544",
            "-1610.61",
            "-1610.81544",
        ),
        (
            "2000",
            {"surplus": "65.98", "unbilled": "0.000009"},
            "2065.979991",
            "-0.000009",
            "65.98",
            "65.979991",
        ),
        ("1000", {}, "1000", "0", "0", "0"),
        ("2400", {"surplus": "424"}, "2824", "0", "424", "424"),
        ("100", {"unbilled": "80"}, "20", "-80", "0", "-80"),
        ("100", {"invoiced": "80"}, "100", "0", "-80", "-80"),
    ],
)
def test_postpaid_figures(limit, buckets, usable, expecting, due, current):
    result = figures("postpaid", limit, **buckets)
    assert result.usable == money(usable)
    assert (result.expecting_invoice, result.amount_due) == (money(expecting), money(due))
    assert result.current_balance == result.balance == money(current)
    assert (
        result.usable
        == result.limit + max(0, result.amount_due) + result.expecting_invoice - result.held
    )


def test_prepaid_may_withdraw_what_is_not_reserved_but_never_the_limit():
    assert figures("prepaid", "100", prepaid="50", held="30").withdrawable == money("20")
    assert figures("prepaid", "100", prepaid="-5").withdrawable == 0


def test_postpaid_may_withdraw_only_the_surplus():
    assert figures("postpaid", "100", surplus="7", unbilled="50").withdrawable == money("7")
    assert figures("postpaid", "100", unbilled="50").withdrawable == 0


def test_the_default_top_up_threshold_is_a_fifth_of_the_last_top_up():
    assert Account(last_top_up=money("100")).auto_top_up_threshold == money("20")
    assert Account(
        last_top_up=money("100"), auto_threshold=money("7")
    ).auto_top_up_threshold == money("7")
    assert Account().auto_top_up_threshold is None


def test_a_temporary_limit_ends_and_the_permanent_one_applies_again():
    account = Account(credit_limit=money("100"))
    account.set_limit(money("500"), NOW + timedelta(days=1))
    assert account.limit_at(NOW) == money("500")
    assert account.limit_at(NOW + timedelta(days=1)) == money("100")
    assert account.temporary_limit_ends(NOW + timedelta(days=1)) is None
    account.set_limit(money("300"), None)
    assert account.limit_at(NOW) == account.limit_at(NOW + timedelta(days=2)) == money("300")


@pytest.mark.parametrize(
    ("mode", "buckets", "blockers"),
    [
        ("prepaid", {}, []),
        ("prepaid", {"prepaid": "0.000001"}, [("credits_left", "0.000001")]),
        ("prepaid", {"prepaid": "-0.000001"}, [("amount_due", "0.000001")]),
        ("prepaid", {"prepaid": "30", "held": "30"}, [("credits_reserved", "30")]),
        (
            "prepaid",
            {"prepaid": "50", "held": "30"},
            [("credits_left", "20"), ("credits_reserved", "30")],
        ),
        ("postpaid", {"unbilled": "0.000001"}, [("unbilled_amount", "0.000001")]),
        ("postpaid", {"invoiced": "5"}, [("amount_due", "5")]),
        ("postpaid", {"surplus": "5"}, [("overpaid", "5")]),
        ("postpaid", {"held": "5"}, [("credits_reserved", "5")]),
        (
            "postpaid",
            {"surplus": "5", "invoiced": "3", "unbilled": "2"},
            [("amount_due", "3"), ("unbilled_amount", "2"), ("overpaid", "5")],
        ),
    ],
)
def test_each_bucket_blocks_closing_on_its_own(mode, buckets, blockers):
    expected = [Blocker(code, money(amount)) for code, amount in blockers]
    assert figures(mode, "1000", **buckets).blockers() == expected


def test_a_payment_in_flight_blocks_closing():
    assert figures("prepaid", "0").blockers(money("4")) == [
        Blocker("payment_in_flight", money("4"))
    ]


@given(
    st.lists(
        st.tuples(st.sampled_from(Code), st.sampled_from(Code), st.integers(1, 10**9)), max_size=30
    ),
)
def test_every_transfer_is_balanced(transfers):
    buckets, outside = Buckets(), 0
    for debit, credit, amount in transfers:
        if debit == credit:
            continue
        buckets = buckets.after(Transfer(debit, credit, amount))
        inside = {Code.PREPAID, Code.SURPLUS, Code.UNBILLED, Code.INVOICED}
        outside += amount * ((credit in inside) - (debit in inside))
    assert buckets.net == outside


def test_figures_that_need_thirteen_digits_are_out_of_range():
    most = "999999999999.999999"
    assert figures("prepaid", "0", prepaid=most).is_in_range
    assert not figures("prepaid", "1", prepaid=most).is_in_range
    assert not figures("postpaid", "0", unbilled=most, invoiced=most).is_in_range


def test_a_reservation_can_always_be_released():
    most = "999999999999.999999"
    assert figures("prepaid", most, held="5").is_in_range
    assert not figures("prepaid", most, prepaid="5", held="5").is_in_range
    assert not figures("postpaid", most, surplus="5", held="5").is_in_range
