"""What the state machine draws: wallets, amounts, methods, usage records."""

from hypothesis import strategies as st

WHO, PICK = st.integers(0, 7), st.integers(0, 7)
SMALL = st.one_of(
    st.integers(1, 30), st.integers(1, 60).map(lambda n: n * 10**6), st.integers(1, 40 * 10**6)
)
# A number, or a name for an amount at a current boundary.
AMOUNT = st.one_of(
    SMALL, SMALL, st.sampled_from(["usable", "usable+", "there", "there+", "debt", "huge"])
)
# A part of an amount that is left.
PART = st.one_of(st.sampled_from([None, "there", "there+", "half"]), SMALL)
COST = st.one_of(st.just(0), SMALL)
METHOD = st.sampled_from(["cash", "bank_transfer", "issue", "cash", "card"])
KINDS = st.sampled_from(["usage", "usage", "subscription", "one_off"])
HOW = st.sampled_from(["new"] * 6 + ["same", "reused", "lost"])
RECORDS = st.lists(st.tuples(WHO, AMOUNT, COST, HOW, PICK), min_size=1, max_size=8)
BAD_MONEY = st.sampled_from(
    [
        "1.0000001",
        "1e3",
        "-0",
        "-1",
        "+1",
        " 1",
        "1 ",
        "",
        ".5",
        "1.",
        "NaN",
        "Infinity",
        "0x1",
        "1234567890123",
        "١",
        "1,5",
        "0",
        "0.0000000",
        1,
        1.5,
        True,
        None,
        [],
        {},
    ]
)
