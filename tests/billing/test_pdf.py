"""Invoices as PDF: every figure is exact, whatever the length, the texts and the machine."""

import io
import re
from datetime import date
from functools import cache
from typing import Any

import pypdf
import pytest
from billing.values import format_money, parse_money
from billing.views.pdf import layout, renderer
from chassis.auth.callers import Caller
from chassis.http.slots import Slot, Slots

from tests.billing.conftest import World

BUYER = {
    "name": "Acme Trading",
    "country": "CH",
    "buyer_tags": {"CustomerRef": "PO-77812", "TypeRef": "Wholesale"},
    "billing": {
        "name": "Acme (Asia) Ltd",
        "email": "bills@acme.example",
        "address": "12 Harbour St\nLevel 3",
        "city": "1204 Geneva",
    },
}
SELLER = {"name": "Straits Voice", "country": "SG", "billing": {}}


def line(
    amount: str, description: str | None = "Calls", at: str = "2026-11-03T02:00:00.000000Z"
) -> dict[str, Any]:
    return {"occurred_at": at, "description": description, "kind": "capture", "amount": amount}


def document(lines: list[dict[str, Any]], currency: str = "SGD", **more: Any) -> dict[str, Any]:
    total = sum(parse_money(entry["amount"], signed=True) for entry in lines)

    def money(amount: int) -> str:
        return format_money(amount, currency)

    return {
        "number": "INV-2026-000042",
        "kind": "consolidated",
        "status": "awaiting_payment",
        "currency": currency,
        "timezone": "Asia/Singapore",
        "issued_on": "2026-12-01",
        "due_on": "2026-12-15",
        "period": {"from": "2026-11-01", "to": "2026-11-30"},
        "seller": SELLER,
        "buyer": BUYER,
        "lines": lines,
        "total": money(total),
        "tax": "0.10",
        "net": money(total - 100000),
        "tax_breakdown": [{"name": "GST", "rate": "8.1", "taxable": "1.23", "tax": "0.10"}],
        "paid": money(0),
        "credited": money(0),
        "written_off": money(0),
        "paid_by_credits": money(0),
        "open": money(total),
        "credit_notes": [],
        **more,
    }


def read(rendered: bytes) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(rendered))


def pages(rendered: bytes) -> list[str]:
    """The text of each page as one line, with plain spaces and without break opportunities."""
    return [
        re.sub(r"[\s\u2007\u2008\u2066-\u2069]+", " ", page.extract_text().replace("\u200b", ""))
        for page in read(rendered).pages
    ]


def fonts(made: pypdf.PdfReader) -> set[str]:
    names = [
        font["/BaseFont"] for page in made.pages for font in page["/Resources"]["/Font"].values()
    ]
    return {name.partition("+")[2].partition("-")[0] for name in names}


@cache
def long_one(lines: int) -> list[str]:
    amounts = [f"{n}.{n:06d}" if n % 2 else f"-0.{n:06d}" for n in range(1, lines + 1)]
    return pages(renderer.render(document([line(text) for text in amounts])))


def test_a_short_invoice_shows_everything() -> None:
    notes = [
        {
            "number": "CN-7",
            "issued_at": "2026-12-01T18:00:00.000000Z",
            "amount": "0.000001",
            "reason": "Rounding",
        }
    ]
    (page,) = pages(
        renderer.render(
            document(
                [line("65.979991"), line("1234.5", None), line("-0.5")],
                paid="100.00",
                credited="0.000001",
                open="1199.97999",
                credit_notes=notes,
            )
        )
    )
    for words in (
        "Invoice INV-2026-000042",
        "Straits Voice Singapore",
        "Acme (Asia) Ltd Acme Trading 12 Harbour St Level 3",
        "1204 Geneva Switzerland",
        "CustomerRef PO-77812",
        "TypeRef Wholesale",
        "Issued 1 December 2026",
        "Due 15 December 2026",
        "Period 1–30 Nov 2026",
        "SGD 1,199.97999",
        "3 Nov 2026 Calls 65.979991",
        "3 Nov 2026 Usage 1,234.5",
        "Calls −0.5",
        "Total 1,299.979991",
        "Net 1,299.879991",
        "GST 8.1%, included 0.10",
        "Paid −100.00",
        "Credited −0.000001",
        "Balance due 1,199.97999",
        "2 Dec 2026 CN-7 Rounding −0.000001",
        "Page 1 of 1",
    ):
        assert words in page
    assert "forward" not in page


def test_dates_are_in_the_customers_time_zone() -> None:
    (page,) = pages(renderer.render(document([line("1.00", at="2026-10-31T17:00:00.000000Z")])))

    assert "1 Nov 2026 Calls" in page


@pytest.mark.parametrize(
    "lines", [*range(18, 28), 200, pytest.param(5000, marks=pytest.mark.exhaustive)]
)
def test_the_amount_carried_forward_is_the_sum_of_the_lines_so_far(lines: int) -> None:
    texts, so_far, seen = long_one(lines), 0, 0
    for number, page in enumerate(texts, 1):
        assert f"Page {number} of {len(texts)}" in page
        assert "Date Description Amount, SGD" in page
        brought = re.findall(r"Brought forward ([−,.0-9]+)", page)
        assert [amount(text) for text in brought] == ([so_far] if number > 1 else [])
        on_page = [amount(text) for text in re.findall(r"Calls ([−,.0-9]+)", page)]
        so_far, seen = so_far + sum(on_page), seen + len(on_page)
        carried = re.findall(r"Carried forward ([−,.0-9]+)", page)
        assert [amount(text) for text in carried] == ([so_far] if number < len(texts) else [])
    assert seen == lines
    assert [amount(text) for text in re.findall(r"Total ([−,.0-9]+)", texts[-1])] == [so_far]


def test_the_sum_is_carried_to_a_page_with_only_the_totals() -> None:
    alone = [
        texts
        for texts in map(long_one, range(18, 28))
        if len(texts) == 2 and "Calls" not in texts[1]
    ]

    assert alone
    assert all("Brought forward" in texts[1] and "Carried forward" in texts[0] for texts in alone)


def test_the_same_document_has_the_same_bytes_and_the_day_of_issue() -> None:
    made = renderer.render(document([line("1.00")]))
    about = read(made).metadata

    assert renderer.render(document([line("1.00")])) == made
    assert renderer.render(document([line("1.01")])) != made
    assert about.title == "Invoice INV-2026-000042"
    assert about.creation_date.date() == date(2026, 12, 1)


def test_it_is_an_archival_pdf_with_a_language_and_our_fonts_only() -> None:
    made = read(renderer.render(document([line("1.00", "Звонки 通话 مكالمات 📞")])))

    assert b"<pdfaid:part>2</pdfaid:part>" in made.trailer["/Root"]["/Metadata"].get_data()
    assert made.trailer["/Root"]["/Lang"] == "en-GB"
    assert fonts(made) == {"Inter", "NotoSansCJKsc", "NotoSansArabic", "NotoEmoji"}


@pytest.mark.parametrize(
    "words",
    [
        "#set text(red)",
        "*bold* _it_ $x^2$ `raw`",
        "<label> @reference \\ // /* c */",
        '#panic("no")',
        "[a]{b}#[c]",
        '"quotes" \\u{41} & <b>',
        "https://example.org/?a=b#c",
        "= Heading",
        "- item",
        "~ -- --- ...",
    ],
)
def test_markup_in_texts_is_printed_literally(words: str) -> None:
    (page,) = pages(
        renderer.render(
            document([line("1.00", words)], buyer={**BUYER, "name": words, "billing": {}})
        )
    )

    assert page.replace(" ", "").count(words.replace(" ", "")) == 2


@pytest.mark.parametrize(
    ("words", "font"),
    [
        ("中国移动通话费", "NotoSansCJKsc"),
        ("繁體中文電話費用", "NotoSansCJKsc"),
        ("日本語の通話料金", "NotoSansCJKsc"),
        ("한국어 통화 요금", "NotoSansCJKsc"),
        ("ค่าโทรศัพท์", "NotoSansThai"),
        ("मोबाइल कॉल", "NotoSansDevanagari"),
        ("شركة الاتصالات", "NotoSansArabic"),
        ("שיחות", "NotoSansHebrew"),
        ("Звонки κλήσεις cuộc gọi", "Inter"),
        ("👩‍💻🇸🇬📞", "NotoEmoji"),
        ("\U00012000\U0010fffd\ufdd0\uffff", "Box"),
    ],
)
def test_every_script_has_a_font_and_other_characters_are_boxes(words: str, font: str) -> None:
    assert fonts(read(renderer.render(document([line("1.00", words)])))) == {"Inter", font}


def test_only_right_to_left_text_is_isolated() -> None:
    content = layout.invoice_layout(
        document([line("1.00", "شركة (م.م.) 24/7"), line("1.00", "שיחות"), line("1.00", "Звонки")])
    )

    assert [words for _, words, _ in content["lines"]] == [
        "\u2068شركة (م.م.) 24/7\u2069",
        "\u2068שיחות\u2069",
        "Звонки",
    ]


@pytest.mark.parametrize(
    "words", ["a\x00b\x07c\x1bd", "a\tb\nc\r\nd", "a\u202eb\u2066c\u2028d", "a\ud800b\x9fc d"]
)
def test_control_characters_and_direction_marks_are_removed(words: str) -> None:
    (page,) = pages(renderer.render(document([line("1.00", words)])))

    assert re.search(r"2026 a ?b ?c ?d 1\.00", page)


@pytest.mark.parametrize(
    "words", ["W" * 255, "long name " * 25, "漢" * 255, "a1b2-" * 51, "นานาชาติ" * 30]
)
def test_long_names_break_and_nothing_overflows_the_page(words: str) -> None:
    long = {"name": words, "country": "SG", "billing": {"address": words, "city": words}}
    made = renderer.render(
        document(
            [line("1.00", words)],
            seller=long,
            buyer={**long, "buyer_tags": {"CustomerRef": words}},
            number="N" * 32,
        )
    )
    reached: list[float] = []
    for page in read(made).pages:
        page.extract_text(
            visitor_text=lambda text, _, matrix, *__: (
                reached.append(matrix[4]) if text.strip() else None
            )
        )

    assert max(reached) < 595 - 62
    assert "1.00" in pages(made)[-1]


@pytest.mark.parametrize(
    ("paid", "credited", "written_off", "mark", "words"),
    [
        ("10.00", "0.00", "0.00", "PAID", "Paid in full. Thank you."),
        ("0.00", "10.00", "0.00", "CREDITED", "Credited 10.00"),
        ("0.00", "10.00", "10.00", "WRITTENOFF", "Written off 10.00"),
        ("6.00", "4.00", "0.00", "SETTLED", "Paid 6.00 · Credited 4.00"),
        ("6.00", "4.00", "4.00", "SETTLED", "Paid 6.00 · Written off 4.00"),
        ("5.00", "5.00", "1.50", "SETTLED", "Paid 5.00 · Credited 3.50 · Written off 1.50"),
    ],
)
def test_only_money_is_thanked_for(
    paid: str, credited: str, written_off: str, mark: str, words: str
) -> None:
    settled = {"paid": paid, "credited": credited, "written_off": written_off}
    (page,) = pages(
        renderer.render(document([line("10.00")], status="paid", open="0.00", **settled))
    )

    marks = {"PAID", "CREDITED", "WRITTENOFF", "SETTLED"}
    assert {stamp for stamp in marks if stamp in page.replace(" ", "")} == {mark}
    assert words in page
    assert ("Thank you" in page) == (mark == "PAID")
    for part in words.split(" · ") if mark != "PAID" else ["Paid 10.00"]:
        label, _, amount_ = part.rpartition(" ")
        assert f"{label} −{amount_}" in page


@pytest.mark.parametrize(
    ("by_credits", "mark", "words"),
    [("10.00", "CREDITED", "Credited 10.00"), ("4.00", "SETTLED", "Paid 6.00 · Credited 4.00")],
)
def test_what_the_providers_credits_paid_is_credited(
    by_credits: str, mark: str, words: str
) -> None:
    settled = {"status": "paid", "open": "0.00", "paid": "10.00", "paid_by_credits": by_credits}
    (page,) = pages(renderer.render(document([line("10.00")], **settled)))

    assert mark in page.replace(" ", "") and words in page
    assert "Thank you" not in page


@pytest.mark.parametrize(
    ("status", "mark", "words"),
    [
        ("awaiting_payment", "", "Due by 15 December 2026"),
        ("void", "VOID", "no payment due"),
    ],
)
def test_the_status_is_stamped_and_explained(status: str, mark: str, words: str) -> None:
    (page,) = pages(renderer.render(document([line("1.00")], status=status, open="0.00")))

    assert {stamp for stamp in ("PAID", "VOID") if stamp in page.replace(" ", "")} == (
        {mark} if mark else set()
    )
    assert words in page


def test_a_month_without_invoice_is_a_statement_and_without_tax_there_is_no_tax_line() -> None:
    (page,) = pages(
        renderer.render(document([line("500")], currency="JPY", kind="none", tax_breakdown=[]))
    )

    assert "Statement" in page
    assert "JPY 500 " in page
    assert not {"Invoice", "Net", "included"} & set(page.split())


def amount(text: str) -> int:
    return parse_money(text.replace("−", "-").replace(",", "").rstrip("."), signed=True, zero=True)


def test_an_incomplete_layout_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderer, "invoice_layout", lambda _: {"stamped_at": 0})

    with pytest.raises(RuntimeError, match="dictionary does not contain key"):
        renderer.render({})


def _invoice(world: World) -> tuple[str, str]:
    """A customer with an invoice, and the address of its PDF."""
    organization_id = world.open("postpaid", limit="100")
    world.charge(organization_id, "10.5")
    issued = world.call("POST", f"/v1/organizations/{organization_id}/invoices", {}).json
    return organization_id, f"/v1/organizations/{organization_id}/invoices/{issued['id']}.pdf"


def _hold(world: World, kind: str, organization_id: str, sub: str) -> Slot:
    """What a rendering that has not ended holds."""
    caller = Caller(sub=sub, organization_id=organization_id, kind=kind, role="owner", sid="ses_1")
    slots: Slots = world.client.application.extensions["renderings"]
    return slots.take(renderer.shares(caller))


def test_a_tenant_has_two_renderings_at_once(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    monkeypatch.setattr(renderer, "_typeset", lambda _: b"%PDF")
    (acme, path), (other, others) = _invoice(world), _invoice(world)
    acmes = world.token("customer", org=acme)
    held = [_hold(world, "customer", acme, f"idn_{number}") for number in range(2)]

    refused = world.call("GET", path, token=acmes)

    assert (refused.status_code, refused.json["code"]) == (429, "too_many_at_once")
    assert refused.headers["Retry-After"] == "2"
    assert world.call("GET", others, token=world.token("customer", org=other)).status_code == 200
    assert world.call("GET", path).status_code == 200, "of the same invoice, for staff"
    held[0].release()
    assert world.call("GET", path, token=acmes).status_code == 200


def test_staff_have_two_renderings_each(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    monkeypatch.setattr(renderer, "_typeset", lambda _: b"%PDF")
    acme, path = _invoice(world)
    held = [_hold(world, "provider", world.provider_id, "mem_somebody") for _ in range(2)]

    assert world.call("GET", path).status_code == 429
    assert world.call("GET", path, token=world.token(sub="mem_other")).status_code == 200
    assert world.call("GET", path, token=world.token("customer", org=acme)).status_code == 200
    assert len(held) == 2


def test_renderings_leave_threads_for_other_requests(world: World) -> None:
    acme, path = _invoice(world)
    held = [_hold(world, "customer", f"org_{number}", "idn_1") for number in range(4)]

    refused = world.call("GET", path, token=world.token("customer", org=acme))

    assert (refused.status_code, refused.json["code"]) == (503, "service_unavailable")
    assert refused.headers["Retry-After"] == "2"
    assert len(held) == 4, "half of its threads"


def test_the_endpoint_renders_only_the_callers_own_invoice(world: World) -> None:
    organization_id = world.open("postpaid", limit="100")
    world.charge(organization_id, "10.5", description="Calls #1")
    issued = world.call("POST", f"/v1/organizations/{organization_id}/invoices", {}).json
    path = f"/v1/organizations/{organization_id}/invoices/{issued['id']}"

    response = world.call("GET", f"{path}.pdf")

    assert (response.status_code, response.content_type) == (200, "application/pdf")
    assert response.headers["Content-Disposition"] == f'inline; filename="{issued["number"]}.pdf"'
    assert "Calls #1 10.50" in pages(response.data)[0]
    assert world.call("GET", f"{path}.pdf").data == response.data
    assert world.call("GET", path).json["id"] == issued["id"]
    stranger = world.open("postpaid")
    for token, where in (
        (world.token(), f"/v1/organizations/{stranger}/invoices/{issued['id']}.pdf"),
        (world.token(), f"/v1/organizations/{organization_id}/invoices/{organization_id}.pdf"),
        (world.token("customer", org=stranger), f"{path}.pdf"),
    ):
        assert world.call("GET", where, token=token).status_code == 404
    assert (
        world.call(
            "GET", f"{path}.pdf", token=world.token("customer", "member", organization_id)
        ).status_code
        == 403
    )
