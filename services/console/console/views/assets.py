"""Style sheet, script, icons: read and compressed once, named by their content so that browsers may
cache them forever."""

import gzip
import mimetypes
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue

FOLDER = Path(__file__).parents[1] / "static"
_THEMES = ("light", "dark")
blp = Blueprint("assets", __name__)


@dataclass(frozen=True)
class Asset:
    """One file. ``name``: with a part of its hash; ``packed``: compressed."""

    name: str
    kind: str
    plain: bytes
    packed: bytes


def _load() -> dict[str, Asset]:
    assets = {}
    for path in sorted(p for p in FOLDER.rglob("*") if p.is_file() and p.name != ".gitignore"):
        short = path.relative_to(FOLDER).as_posix()
        plain = path.read_bytes()
        name = f"{sha256(plain).hexdigest()[:12]}/{short}"
        assets[short] = Asset(
            name,
            mimetypes.guess_type(short)[0] or "application/octet-stream",
            plain,
            gzip.compress(plain, 9, mtime=0),
        )
    return assets


ASSETS = _load()
_BY_NAME = {asset.name: asset for asset in ASSETS.values()}


def url(name: str) -> str:
    """A file's address; empty if there is no such file."""
    asset = ASSETS.get(name)
    return f"/static/{asset.name}" if asset else ""


def theme() -> str:
    """The color theme that was chosen, light or dark; empty to follow the system."""
    chosen = request.cookies.get("look", "")
    return chosen if chosen in _THEMES else ""


@blp.get("/static/<path:name>")
def file(name: str) -> ResponseReturnValue:
    """A file; its name changes with its content."""
    asset = _BY_NAME.get(name)
    if asset is None:
        abort(404)
    packed = "gzip" in request.headers.get("Accept-Encoding", "")
    response = Response(asset.packed if packed else asset.plain, content_type=asset.kind)
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    if asset.kind.startswith("text/"):
        response.headers["Content-Type"] = f"{asset.kind}; charset=utf-8"
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    response.vary.add("Accept-Encoding")
    return response


file.is_asset = True  # type: ignore[attr-defined]
