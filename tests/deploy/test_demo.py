"""The demo: its customers, its steps, and that it notices unexpected results."""

import csv
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from devtools.demo import rows
from devtools.demo.customer import money
from org import values

ROOT = Path(__file__).parents[2]
CUSTOMERS = ROOT / "examples" / "customers.csv"


@pytest.fixture(scope="module")
def customers() -> list[dict[str, str]]:
    with CUSTOMERS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class FakeSystem(BaseHTTPRequestHandler):
    """Accepts every login and refuses to create customers; its settings can be read and set."""

    refusal = {
        "code": "invalid",
        "detail": "Not like this.",
        "errors": [
            {
                "pointer": "/owner/email",
                "code": "email",
                "detail": "Enter a valid email address.",
            },
        ],
    }
    answers = {
        ("GET", "/readyz"): (200, {}),
        ("POST", "/v1/sessions"): (
            201,
            {"access_token": "t", "organization": {"kind": "provider"}},
        ),
        ("GET", "/v1/settings"): (200, {"deletion_grace_days": 7}),
        ("POST", "/v1/organizations"): (422, refusal),
    }
    settings: list[int] = []

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.command == "PATCH":
            self.settings.append(json.loads(body)["deletion_grace_days"])
            status, shown = 200, json.loads(body)
        else:
            status, shown = self.answers.get(
                (self.command, self.path), (404, {"code": "not_found"})
            )
        sent = json.dumps(shown).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    do_GET = do_POST = do_PATCH = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def fake() -> Iterator[str]:
    FakeSystem.settings.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), FakeSystem) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def demo(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    kept = {
        k: v
        for k, v in os.environ.items()
        if k not in ("BASE_URL", "MAIL_DIR", "CLIENTELE_ADMIN_PASSWORD")
    }
    return subprocess.run(
        [sys.executable, "-m", "devtools", "demo", *words],
        cwd=ROOT,
        env=kept | environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=600,
        check=False,
    )


def test_forty_customers_over_eight_countries_and_five_currencies(
    customers: list[dict[str, str]],
) -> None:
    assert len(customers) == 40
    assert len({c["country"] for c in customers}) == 8
    assert len({c["currency"] for c in customers}) == 5
    assert {c["payment_mode"] for c in customers} == {"prepaid", "postpaid"}
    assert {c["pricing_model"] for c in customers} == {"app", "license"}


@pytest.mark.parametrize("column", ["name", "owner_email", "billing_email", "customer_ref"])
def test_no_two_customers_share_a(column: str, customers: list[dict[str, str]]) -> None:
    assert len({c[column].casefold() for c in customers}) == 40


def test_their_names_use_odd_characters_and_only_allowed_ones(
    customers: list[dict[str, str]],
) -> None:
    names = [c["name"] for c in customers]

    assert all(values.is_name(name) for name in names)
    assert set("&@#+*%$'“”‘’()[]{}<>/:;!?^_=.") - set("".join(names)) <= set("$")
    assert any("株" in name for name in names)


def test_each_customer_can_be_charged(customers: list[dict[str, str]]) -> None:
    for customer in customers:
        needed = "opening_credit" if customer["payment_mode"] == "prepaid" else "credit_limit"
        assert values.is_amount(customer[needed]), customer["name"]


def test_a_row_read_again_has_the_same_key_and_no_other_row_has_it() -> None:
    first, second = rows.read(CUSTOMERS), rows.read(CUSTOMERS)

    assert [row.key for row in first] == [row.key for row in second]
    assert len({row.key for row in first}) == 40


@pytest.mark.parametrize(
    ("amount", "text"),
    [("250", "250.00"), ("184.254321", "184.254321"), ("3.5", "3.50"), ("0", "0.00")],
)
def test_money_is_written_as_in_the_api(amount: str, text: str) -> None:
    assert money(Decimal(amount)) == text


def test_it_runs_every_step_on_a_system_of_its_own() -> None:
    result = demo()

    assert result.returncode == 0, result.stdout
    assert "40 created, 0 already there, 0 refused; 8 countries, 5 currencies" in result.stdout
    for expected in (
        "409 deletion_refused",
        "409 account_closed",
        "409 insufficient_credits",
        "✔ status: deleted",
    ):
        assert expected in result.stdout
    assert "steps went as expected" in result.stdout
    assert "✔ invoices: paid 100.00" in result.stdout
    saved = re.search(r"[0-9,]+ bytes are in (.*)", result.stdout)
    assert saved and Path(saved[1]).read_bytes().startswith(b"%PDF-")
    statement = result.stdout.partition("Statement of account")[2]
    assert "-180.254321" in statement
    assert (
        statement.index("Opening balance")
        < statement.index("-180.254321")
        < statement.index("Closing balance")
    )


def test_an_unexpected_result_ends_it_and_restores_the_grace_period(fake: str) -> None:
    result = demo("--no-load", BASE_URL=fake, CLIENTELE_ADMIN_PASSWORD="any")

    assert result.returncode == 1
    assert "status: expected 201, got 422" in result.stdout
    assert FakeSystem.settings == [30, 7]


def test_each_invalid_row_is_named_and_the_others_are_loaded(fake: str) -> None:
    result = demo(BASE_URL=fake, CLIENTELE_ADMIN_PASSWORD="any")

    assert result.returncode == 1
    assert (
        "row 17 'Hôtel des Trois Ponts ***': /owner/email Enter a valid email address."
        in result.stdout
    )
    assert "0 created, 0 already there, 40 refused" in result.stdout


def test_a_file_without_the_columns_is_refused_immediately(tmp_path: Path) -> None:
    file = tmp_path / "other.csv"
    file.write_text("name,country\nX,SG\n")

    result = demo("--file", str(file))

    assert result.returncode == 1
    assert "these columns are missing: currency" in result.stdout


def test_without_a_password_it_says_what_to_set(fake: str) -> None:
    result = demo(BASE_URL=fake)

    assert result.returncode == 2
    assert "Set CLIENTELE_ADMIN_PASSWORD" in result.stdout
