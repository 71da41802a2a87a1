"""Worked examples of tax, as a table: what happens to an account, and its last document.

Every figure was computed by hand: tax = gross * rate / (100 + the sum of the rates), rounded
half-even to the unit of the document.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

# A country's tax: name, rate in percent, first day.
GST = (("GST", "8", "2020-01-01"), ("GST", "9", "2031-02-01"))
GST_9 = (("GST", "9", "2020-01-01"),)
# Quebec: both on the net.
TWO = (("GST", "5", "2020-01-01"), ("QST", "9.975", "2020-01-01"))


class Example(NamedTuple):
    """``steps``: what is done, each with its arguments and, as ``at``, its time (UTC).

    ``total``, ``rounding`` and ``taxes`` (name, rate, taxable, tax) are those of the last document:
    an invoice, or a credit note if ``note``.
    """

    name: str
    steps: Sequence[tuple[Any, ...]]
    total: str
    taxes: Sequence[tuple[str, str, str, str]]
    rounding: str = "0.00"
    rates: Sequence[tuple[str, str, str]] = GST_9
    unit: str = "currency"
    currency: str = "SGD"
    zone: str = "Asia/Singapore"
    billing: dict[str, Any] = {}
    note: bool = False


JAN, FEB = "2031-01-20T04:00", "2031-02-10T04:00"
EXAMPLES = (
    Example(
        "one rate", [("charge", "109"), ("invoice",)], "109.00", [("GST", "9", "100.00", "9.00")]
    ),
    Example(
        "the tax is rounded down to cents",
        [("charge", "100"), ("invoice",)],  # 100 * 9 / 109 = 8.2568
        "100.00",
        [("GST", "9", "91.74", "8.26")],
    ),
    Example(
        "in millionths if documents are not rounded",
        [("charge", "100"), ("invoice",)],
        "100.00",
        [("GST", "9", "91.743119", "8.256881")],
        unit="none",
    ),
    Example(
        "half a cent of tax goes to the even cent",
        [("charge", "0.05"), ("invoice",)],  # 0.05 * 100 / 200 = 0.025
        "0.05",
        [("GST", "100", "0.02", "0.02")],
        rates=(("GST", "100", "2020-01-01"),),
    ),
    Example("no tax in the country", [("charge", "100"), ("invoice",)], "100.00", [], rates=()),
    Example(
        "a tax that has not begun",
        [("charge", "100", JAN), ("invoice",)],
        "100.00",
        [],
        rates=(("GST", "9", "2031-02-01"),),
    ),
    Example(
        "a tax that has ended",
        [("charge", "100", FEB), ("invoice",)],
        "100.00",
        [],
        rates=(("GST", "9", "2020-01-01"), ("GST", "0", "2031-02-01")),
    ),
    Example(
        "a supply before the rate changed, invoiced after it",
        [("charge", "108", JAN), ("invoice", FEB)],
        "108.00",
        [("GST", "8", "100.00", "8.00")],
        rates=GST,
    ),
    Example(
        "supplies on both sides of a change",
        [("charge", "108", JAN), ("charge", "218", FEB), ("invoice", FEB)],
        "326.00",
        [("GST", "8", "100.00", "8.00"), ("GST", "9", "200.00", "18.00")],
        rates=GST,
    ),
    Example(
        "the last second of the old rate, in the customer's time zone",
        [("charge", "108", "2031-01-31T15:59:59"), ("invoice", FEB)],
        "108.00",
        [("GST", "8", "100.00", "8.00")],
        rates=GST,
    ),
    Example(
        "the first second of the new rate, in the customer's time zone",
        [("charge", "109", "2031-01-31T16:00:00"), ("invoice", FEB)],
        "109.00",
        [("GST", "9", "100.00", "9.00")],
        rates=GST,
    ),
    Example(
        "a record that arrives late is taxed by its own day",
        [("usage", "108", JAN, FEB), ("invoice", FEB)],
        "108.00",
        [("GST", "8", "100.00", "8.00")],
        rates=GST,
    ),
    Example(
        "the month's end over a change of rate",
        [("charge", "108", JAN), ("charge", "109", FEB), ("month end", "2031-03-02T00:00")],
        "217.00",
        [("GST", "8", "100.00", "8.00"), ("GST", "9", "100.00", "9.00")],
        rates=GST,
    ),
    Example(
        "the night in which summer time begins",  # 31 March, 01:00 UTC; 00:30 local is 23:30 UTC
        [("charge", "119", "2030-03-30T23:30"), ("invoice", "2030-04-01T00:00")],
        "119.00",
        [("VAT", "19", "100.00", "19.00")],
        rates=(("VAT", "16", "2020-01-01"), ("VAT", "19", "2030-03-31")),
        zone="Europe/Berlin",
        currency="EUR",
    ),
    Example(
        "the last hour before midnight in summer time",  # 22:30 UTC is 00:30 of the next day
        [("charge", "119", "2030-06-30T22:30"), ("invoice", "2030-07-02T00:00")],
        "119.00",
        [("VAT", "19", "100.00", "19.00")],
        rates=(("VAT", "16", "2020-01-01"), ("VAT", "19", "2030-07-01")),
        zone="Europe/Berlin",
        currency="EUR",
    ),
    Example(
        "two taxes apply together, each on the net",
        [("charge", "114.975"), ("invoice",)],  # total 114.98 (half-even), rounding 0.005
        "114.98",
        [("GST", "5", "100.00", "5.00"), ("QST", "9.975", "100.00", "9.98")],
        rounding="0.005",
        rates=TWO,
        currency="CAD",
    ),
    Example(
        "two taxes, in millionths",
        [("charge", "114.975"), ("invoice",)],
        "114.975",
        [("GST", "5", "100.00", "5.00"), ("QST", "9.975", "100.00", "9.975")],
        rates=TWO,
        unit="none",
        currency="CAD",
    ),
    Example(
        "one of two taxes ends",
        [("charge", "114.975", JAN), ("charge", "105", FEB), ("invoice", FEB)],
        "219.98",
        [("GST", "5", "200.00", "10.00"), ("QST", "9.975", "100.00", "9.98")],
        rounding="0.005",
        rates=(*TWO, ("QST", "0", "2031-02-01")),
        currency="CAD",
    ),
    Example(
        "the tax of a rate is added up over its lines and rounded once",
        # Three times 0.10: 0.30 * 9 / 109 = 0.02477; each line alone would have given 0.01.
        [("charge", "0.10"), ("charge", "0.10"), ("charge", "0.10"), ("invoice",)],
        "0.30",
        [("GST", "9", "0.28", "0.02")],
    ),
    Example(
        "the total is rounded up",
        [("charge", "10.006"), ("invoice",)],  # 10.006 * 9 / 109 = 0.82618
        "10.01",
        [("GST", "9", "9.18", "0.83")],
        rounding="0.004",
    ),
    Example(
        "the total is rounded down",
        [("charge", "10.004999"), ("invoice",)],
        "10.00",
        [("GST", "9", "9.18", "0.83")],
        rounding="-0.004999",
    ),
    Example(
        "half a cent goes to the even cent",
        [("charge", "10.005"), ("invoice",)],
        "10.00",
        [("GST", "9", "9.18", "0.83")],
        rounding="-0.005",
    ),
    Example(
        "yen have no decimals",
        [("charge", "1000.5"), ("charge", "99.1"), ("invoice",)],  # 1099.6: tax 99.96, net 999.64
        "1100",
        [("JCT", "10", "1000", "100")],
        rounding="0.4",
        rates=(("JCT", "10", "2020-01-01"),),
        currency="JPY",
        zone="Asia/Tokyo",
    ),
    Example(
        "Kuwaiti dinars have three",
        [("charge", "10.1235"), ("invoice",)],  # tax 0.482071, net 9.641429
        "10.124",
        [("VAT", "5", "9.641", "0.482")],
        rounding="0.0005",
        rates=(("VAT", "5", "2020-01-01"),),
        currency="KWD",
        zone="Asia/Kuwait",
    ),
    Example(
        "exempt",
        [("charge", "109"), ("invoice",)],
        "109.00",
        [],
        billing={"tax_exempt": {"reason": "Diplomatic mission"}},
    ),
    Example(
        "reverse charge",
        [("charge", "109"), ("invoice",)],
        "109.00",
        [],
        billing={"tax_id": "DE136695976", "reverse_charge": True},
    ),
    Example(
        "goodwill is no supply",
        [("charge", "109"), ("adjust", "-9", "goodwill"), ("invoice",)],
        "118.00",
        [("GST", "9", "100.00", "9.00")],
    ),
    Example(
        "a correction is no supply",
        [("charge", "109"), ("adjust", "-1", "correction"), ("invoice",)],
        "110.00",
        [("GST", "9", "100.00", "9.00")],
    ),
    Example(
        "a debt from before the change of mode is no supply",
        [
            ("mode", "prepaid"),
            ("charge", "50"),
            ("mode", "postpaid"),
            ("charge", "109"),
            ("invoice",),
        ],
        "159.00",
        [("GST", "9", "100.00", "9.00")],
    ),
    Example(
        "a reversed top-up is no supply",
        [
            ("top up", "30"),
            ("withdraw", "30"),
            ("reverse", "top up"),
            ("charge", "109"),
            ("invoice",),
        ],
        "139.00",
        [("GST", "9", "100.00", "9.00")],
    ),
    Example(
        "a refund takes the tax of its charge off, also in another month",
        [
            ("charge", "108", JAN),
            ("charge", "218", FEB),
            ("refund", 0, "54", FEB),
            ("invoice", FEB),
        ],
        "272.00",
        [("GST", "8", "50.00", "4.00"), ("GST", "9", "200.00", "18.00")],
        rates=GST,
    ),
    Example(
        "a voided invoice is invoiced again line by line",
        [
            ("charge", "108", JAN),
            ("invoice", JAN),
            ("void", FEB),
            ("charge", "109", FEB),
            ("invoice", FEB),
        ],
        "217.00",
        [("GST", "8", "100.00", "8.00"), ("GST", "9", "100.00", "9.00")],
        rates=GST,
    ),
    Example(
        "voided twice",
        [("charge", "109"), ("invoice",), ("void",), ("invoice",), ("void",), ("invoice",)],
        "109.00",
        [("GST", "9", "100.00", "9.00")],
    ),
    Example(
        "the rounding of a voided invoice is reversed, not invoiced again",
        [("charge", "10.006"), ("invoice",), ("void",), ("charge", "10.006"), ("invoice",)],
        "20.01",  # 20.012 * 9 / 109 = 1.65236
        [("GST", "9", "18.36", "1.65")],
        rounding="-0.002",
    ),
    Example(
        "an invoice with the rates of two days, credited in part",
        # A quarter of each tax.
        [
            ("charge", "108", JAN),
            ("charge", "218", FEB),
            ("invoice", FEB),
            ("credit", "81.50", FEB),
        ],
        "81.50",
        [("GST", "8", "25.00", "2.00"), ("GST", "9", "50.00", "4.50")],
        rates=GST,
        note=True,
    ),
    Example(
        "the last credit note contains what is left of the tax",
        # 100 of 9 % is 8.26 in all; the first third 33.33 has 2.75, the second 2.75.
        [
            ("charge", "100"),
            ("invoice",),
            ("credit", "33.33"),
            ("credit", "33.33"),
            ("credit", None),
        ],
        "33.34",
        [("GST", "9", "30.58", "2.76")],
        note=True,
    ),
    Example(
        "the refund of an invoiced charge has the tax of that charge",
        [
            ("charge", "108", JAN),
            ("charge", "218", FEB),
            ("invoice", FEB),
            ("refund", 0, "54", FEB),
        ],
        "54.00",
        [("GST", "8", "50.00", "4.00")],
        rates=GST,
        note=True,
    ),
    Example(
        "the rest of a charge is refunded",
        [("charge", "109"), ("invoice",), ("refund", 0, "54.50"), ("refund", 0, None)],
        "54.50",
        [("GST", "9", "50.00", "4.50")],
        note=True,
    ),
    Example(
        "a refund below a cent's half is rounded on the credit note",
        [("charge", "10.006"), ("charge", "20"), ("invoice",), ("refund", 0, None)],
        "10.01",
        [("GST", "9", "9.18", "0.83")],
        rounding="0.004",
        note=True,
    ),
    Example(
        "refunds of all charges credit the whole invoice, never more",
        # 3 * 0.335 = 1.005 -> 1.00; the notes 0.34, 0.34 and what is left, 0.32.
        [
            ("charge", "0.335"),
            ("charge", "0.335"),
            ("charge", "0.335"),
            ("invoice",),
            ("refund", 0, None),
            ("refund", 1, None),
            ("refund", 2, None),
        ],
        "0.32",
        [("GST", "9", "0.30", "0.02")],  # of 0.92 and 0.08 are left after 0.31 and 0.03 twice
        rounding="-0.015",
        note=True,
    ),
    Example(
        "the credit note of an invoice in yen",
        [("charge", "1100"), ("invoice",), ("credit", "333")],  # 100 * 333 / 1100 = 30.27
        "333",
        [("JCT", "10", "303", "30")],
        rates=(("JCT", "10", "2020-01-01"),),
        rounding="0",
        currency="JPY",
        zone="Asia/Tokyo",
        note=True,
    ),
)
