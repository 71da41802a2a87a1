"""The logo of a provider: an image that anybody's PDF reader or mail program will be given, so it
is decoded, and stored only as it was encoded here."""

from base64 import b64decode, b64encode
from io import BytesIO
from typing import TYPE_CHECKING

from chassis.errors import Invalid, invalid

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_BYTES = 40 * 1024
MAX_CHARACTERS = -(-MAX_BYTES // 3) * 4  # in base64
_MAX_SIDE = 1600
_FORMATS = ("PNG", "JPEG")
_QUALITIES = (90, 80, 70, 60)


def reencoded(text: str) -> str:
    """An image in base64 as it is stored: the same pixels, nothing else that was in the file.
    Raises Invalid."""
    try:
        raw = b64decode(text, validate=True)
    except ValueError as problem:
        raise _refused("base64", "Must be an image in base64.") from problem
    if len(raw) > MAX_BYTES:
        raise _too_large()
    return b64encode(_encoded(_decoded(raw))).decode()


def _decoded(raw: bytes) -> "Image":
    from PIL import Image, ImageOps  # takes long to import and is rarely used

    try:
        image = Image.open(BytesIO(raw), formats=_FORMATS)
        size = max(image.size)
        if size <= _MAX_SIDE and image.format in _FORMATS and getattr(image, "n_frames", 1) == 1:
            image.load()
            upright = ImageOps.exif_transpose(image)
            upright.format = image.format
            return upright
    except Exception as problem:  # its decoders raise any kind of error for malformed files
        raise _refused("image", "Must be a PNG or JPEG image.") from problem
    if size > _MAX_SIDE:
        raise _refused("dimensions", f"Must be at most {_MAX_SIDE} pixels wide and high.")
    raise _refused("image", "Must be a single image, not an animation.")


def _encoded(image: "Image") -> bytes:
    transparency = image.info.get("transparency")
    form = image.format
    if form == "JPEG" and image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    image.info = {} if transparency is None else {"transparency": transparency}
    for quality in _QUALITIES if form == "JPEG" else _QUALITIES[:1]:
        encoded = BytesIO()
        image.save(encoded, form, optimize=True, quality=quality)
        if encoded.tell() <= MAX_BYTES:
            return encoded.getvalue()
    raise _too_large()


def _too_large() -> Invalid:
    return _refused("too_large", f"Must be at most {MAX_BYTES // 1024} KB.")


def _refused(code: str, detail: str) -> Invalid:
    return invalid("/company/logo", code, detail)
