"""The company, the numbering and the rounding of documents among a provider's settings."""

import json
import uuid
from base64 import b64decode, b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from chassis.db import migrations
from contracts import org
from org.app import SERVICE
from org.values import logos
from PIL import Image, PngImagePlugin

from tests.org.conftest import World
from tests.org.test_upgrade import filled

pytestmark = pytest.mark.both_databases
COMPANY = {
    "name": "Lantern Voice Pte Ltd",
    "address": "1 Harbour Road\n#04-02",
    "city": "Singapore 098633",
    "tax_id": "M2-1234567-8",
    "registration": "UEN 201234567D",
    "bank_details": "DBS 012-345678-9",
    "sender": "Lantern Voice",
}


def drawn(form: str, size: tuple[int, int] = (60, 20), mode: str = "RGB", **how: Any) -> str:
    """An image in base64."""
    encoded = BytesIO()
    Image.new(mode, size, 1).save(encoded, form, **how)
    return b64encode(encoded.getvalue()).decode()


def noise(form: str, side: int, **how: Any) -> str:
    """An image that cannot be compressed well."""
    encoded = BytesIO()
    Image.effect_noise((side, side), 120).save(encoded, form, **how)
    return b64encode(encoded.getvalue()).decode()


def opened(logo: str) -> Image.Image:
    return Image.open(BytesIO(b64decode(logo)))


def change(world: World, **settings: Any) -> Any:
    return world.call("PATCH", "/settings", settings)


def test_the_company_is_kept_by_parts_and_published(world: World) -> None:
    assert set(world.call("GET", "/settings").json["company"].values()) == {None}

    change(world, company=COMPANY)
    now = change(world, company={"city": None, "sender": "Billing"}).json["company"]

    assert now == {**COMPANY, "city": None, "sender": "Billing"}
    assert world.published(org.SettingsChanged)[-1].settings["company"] == now
    assert world.call("GET", "/settings").json["company"] == now


def test_only_staff_read_the_settings(world: World) -> None:
    customer = world.active()
    change(world, company=COMPANY)

    for role in ("owner", "admin", "member"):
        assert world.call("GET", "/settings", org=customer, role=role).status_code == 403


@pytest.mark.parametrize(("form", "mode"), [("PNG", "RGBA"), ("PNG", "P"), ("JPEG", "CMYK")])
def test_a_logo_is_stored_as_it_was_encoded_again(world: World, form: str, mode: str) -> None:
    secret = PngImagePlugin.PngInfo()
    secret.add_text("Author", "hidden words")
    hidden = {"pnginfo": secret} if form == "PNG" else {"comment": b"hidden words"}
    given = drawn(form, mode=mode, **hidden)

    stored = change(world, company={"logo": given}).json["company"]["logo"]

    assert b"hidden words" in b64decode(given) and b"hidden words" not in b64decode(stored)
    assert (opened(stored).format, opened(stored).size) == (form, (60, 20))
    assert change(world, company={"logo": stored}).json["company"]["logo"] == stored
    assert len(world.published(org.SettingsChanged)) == 1, "what is stored is no change"
    assert "logo" not in change(world, company={"logo": None}).json["company"]


def test_a_photo_keeps_its_orientation_and_the_limit(world: World) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # to be shown rotated by a quarter
    stored = change(world, company={"logo": drawn("JPEG", exif=turned)}).json["company"]["logo"]
    assert opened(stored).size == (20, 60)

    large = noise("JPEG", 250, quality=72)
    assert logos.MAX_BYTES * 0.9 < len(b64decode(large)) <= logos.MAX_BYTES
    stored = change(world, company={"logo": large}).json["company"]["logo"]
    assert len(b64decode(stored)) <= logos.MAX_BYTES


def animation() -> str:
    encoded = BytesIO()
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(encoded, "PNG", save_all=True, append_images=frames[1:])
    return b64encode(encoded.getvalue()).decode()


@pytest.mark.parametrize(
    ("logo", "code"),
    [
        ("no base64", "base64"),
        ("", "image"),
        (b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'/>").decode(), "image"),
        (drawn("GIF"), "image"),
        (drawn("PNG")[:60], "image"),
        (animation(), "image"),
        (drawn("PNG", (1601, 10), "1"), "dimensions"),
        (drawn("PNG", (9_000, 9_000), "1"), "dimensions"),
        (b64encode(bytes(logos.MAX_BYTES + 1)).decode(), "too_large"),
    ],
    ids=["text", "empty", "svg", "gif", "cut", "animated", "wide", "huge", "large"],
)
def test_what_is_no_logo_is_refused_at_its_field(world: World, logo: str, code: str) -> None:
    response = change(world, company={"logo": logo})

    assert response.status_code == 422
    assert [(each["pointer"], each["code"]) for each in response.json["errors"]] == [
        ("/company/logo", code)
    ]
    assert world.published(org.SettingsChanged) == []


def test_the_audit_has_a_digest_instead_of_the_logo(world: World) -> None:
    logo = change(world, company={**COMPANY, "logo": drawn("PNG")}).json["company"]["logo"]

    (row,) = world.published(org.AuditRecorded)
    (company,) = row.changes
    assert company["after"]["name"] == COMPANY["name"]
    assert company["after"]["logo"].startswith("sha256:") and logo not in json.dumps(vars(row))


def test_the_largest_settings_fit_into_messages(world: World) -> None:
    rate = {"country": "DE", "rate": "19", "valid_from": "2026-01-01"}
    rates = [{**rate, "name": f"{at:03}{chr(0x1F600) * 47}"} for at in range(230)]
    texts = {name: chr(0x20000) * 100 for name in COMPANY if name != "tax_id"}
    texts |= {name: chr(0x20000) * 500 for name in ("address", "bank_details")}
    body = json.dumps({"tax_rates": rates}, ensure_ascii=False).encode()
    sent = {"Authorization": f"Bearer {world.token()}", "Content-Type": "application/json"}

    taxed = world.client.patch("/v1/settings", data=body, headers=sent)
    assert (taxed.status_code, change(world, company=texts).status_code) == (200, 200)
    logo = change(world, company={"logo": noise("PNG", 190)})
    assert logo.status_code == 200 and len(logo.json["company"]["logo"]) > 40_000

    replaced = body.replace(b'"19"', b'"20"')
    refused = world.client.patch("/v1/settings", data=replaced, headers=sent)
    assert (refused.status_code, refused.json["code"]) == (422, "too_many_changes")


@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        ("{yyyy}-{seq:5}", ""),
        ("A-z_/. {yy}{seq:12}", ""),
        ("X" * 21 + "{yy}{seq:1}", ""),
        ("X" * 22 + "{yy}{seq:1}", "length"),
        ("{seq:5}", "placeholders"),
        ("{yyyy}", "placeholders"),
        ("{yyyy}{seq:0}", "placeholders"),
        ("{yyyy}{seq:13}", "placeholders"),
        ("{yyyy}{seq:5}{seq:5}", "placeholders"),
        ("{yyyy}{seq:5}{month}", "characters"),
        ("№{yyyy}{seq:5}", "characters"),
        ("'{yyyy}{seq:5}", "characters"),
    ],
)
def test_a_pattern_of_numbers_needs_year_and_sequence(
    world: World, pattern: str, code: str
) -> None:
    response = change(world, numbering={"receipt": pattern})

    errors = [(each["pointer"], each["code"]) for each in response.json.get("errors", ())]
    assert errors == ([("/numbering/receipt", code)] if code else [])
    expected = pattern if not code else "RCT-{yyyy}-{seq:5}"
    assert world.call("GET", "/settings").json["numbering"]["receipt"] == expected


def test_the_next_number_is_set_and_taken_back(world: World) -> None:
    change(world, numbering={"invoice": "R{yy}{seq:4}", "next": {"invoice": 501, "receipt": 7}})
    now = change(world, numbering={"invoice": None, "next": {"receipt": None}}).json["numbering"]

    assert now == {
        "invoice": "INV-{yyyy}-{seq:5}",
        "credit_note": "CN-{yyyy}-{seq:5}",
        "receipt": "RCT-{yyyy}-{seq:5}",
        "next": {"invoice": 501},
    }
    for invalid in (0, 10**9, "1", 1.5, True):
        assert change(world, numbering={"next": {"invoice": invalid}}).status_code == 422


def test_new_providers_round_their_documents(world: World) -> None:
    assert world.call("GET", "/settings").json["document_rounding"] == "currency"
    assert change(world, document_rounding="none").json["document_rounding"] == "none"
    assert change(world, document_rounding="up").status_code == 422


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_upgrade_leaves_documents_of_existing_providers_unrounded(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if database == "sqlite":
        url = f"sqlite:///{tmp_path / 'old.db'}"
    else:
        url = request.getfixturevalue("postgres").fresh_database("org").owner_url
    migrations.upgrade(SERVICE.migrations, url, "0011")
    engine = sa.create_engine(url)
    tables = sa.MetaData()
    organizations, settings = (
        sa.Table(name, tables, autoload_with=engine)
        for name in ("organizations", "provider_settings")
    )
    made = [uuid.uuid4() if database == "postgresql" else uuid.uuid4().hex for _ in range(3)]
    with engine.begin() as connection:
        for one, kind in zip(made, ("provider", "provider", "customer"), strict=True):
            row = filled(organizations, id=one, provider_id=one, kind=kind)
            connection.execute(sa.insert(organizations).values(row))
        chosen = {"payment_terms_days": 7}
        row = {"provider_id": made[0], "version": 3, "chosen": chosen, "applied": {"billing": 3}}
        connection.execute(sa.insert(settings).values(row))

    migrations.upgrade(SERVICE.migrations, url)

    with engine.connect() as connection:
        rows = {row.provider_id: row for row in connection.execute(sa.select(settings))}
    engine.dispose()
    assert rows.keys() == set(made[:2])
    kept, new = (rows[one] for one in made[:2])
    assert (kept.chosen, kept.version) == (chosen | {"document_rounding": "none"}, 3)
    assert (new.chosen, new.version) == ({"document_rounding": "none"}, 0)
