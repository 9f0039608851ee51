"""Good files and bodies, damaged: valid beginnings get further into a parser than random bytes."""

import base64
import json
from io import BytesIO
from random import Random

import numpy as np
from PIL import Image

from tests.support import hostile_files as files
from tests.support.features import random_vector

_FORMATS = ("PNG", "TIFF", "JPEG", "GIF", "WEBP", "AVIF")
_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_TOKENS = (
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u0000", b"\\ud800", b"\\u202e"),
    *(b"NaN", b"1e999", b"-0", b"1e308", b"true", b"null", b"[[[[[[[[[[", b'{"a":', b"\0"),
    *(b"\xff", b"\xf0\x9f\x98\x80", b"data:image/png;base64,", b'"name":"x",', b"9" * 400),
)
_FIRST = ("POST /api/store/1", "PUT /api/store/1", "POST /api/find_match")
_SECOND = (
    *("POST /api/v2/identifications", "POST /api/v2/candidates", "PUT /api/v2/employees/1"),
    *("PATCH /api/v2/employees/1", "POST /api/v2/employees/1/samples"),
)


def pictures() -> list[bytes]:
    """Small pictures of every format, mode and compression that is worth it."""
    rng = np.random.default_rng(0)
    rgb = Image.fromarray(rng.integers(0, 255, (24, 32, 3), np.uint8))
    tags = Image.Exif()
    tags[0x0112], tags[0x010E] = 6, "a description"
    made = [(form, {"exif": tags}) for form in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF")]
    made += [("GIF", {}), ("BMP", {}), ("WEBP", {"lossless": True}), ("PNG", {"interlace": 1})]
    made += [
        ("JPEG", {"progressive": True}),
        ("JPEG", {"subsampling": 0, "restart_marker_rows": 1}),
    ]
    compressions = ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "webp", "lzma")
    made += [("TIFF", {"compression": name}) for name in compressions]
    found = [_encoded(rgb, form, options) for form, options in made]
    for mode in ("1", "L", "P", "LA", "RGBA", "I;16", "I", "F", "CMYK", "YCbCr", "LAB"):
        image = rgb.convert(mode) if mode != "I;16" else rgb.convert("I").convert("I;16")
        found += [_encoded(image, form, {}) for form in _FORMATS]
    found.append(_encoded(rgb.convert("1"), "TIFF", {"compression": "group4"}))
    frames = {"save_all": True, "append_images": [rgb.rotate(90), rgb.rotate(180)]}
    found += [_encoded(rgb, form, frames) for form in ("GIF", "PNG", "WEBP", "AVIF", "TIFF", "MPO")]
    found.append(files.tiff(64, 64, {322: 64, 323: 64, 324: 0, 325: 20}, files.zeros(4096)))
    return [data for data in found if data]


def _encoded(image: Image.Image, form: str, options: dict[str, object]) -> bytes:
    file = BytesIO()
    try:
        image.save(file, form, **options)
    except (OSError, KeyError, ValueError):  # that format has no such mode
        return b""
    return file.getvalue()


def bodies() -> dict[str, list[bytes]]:
    """JSON bodies, good ones, by the calls that take them."""
    photo = base64.b64encode(_encoded(Image.new("RGB", (32, 32), "red"), "PNG", {})).decode()
    who = {"name": "Grace", "surname": "Hopper"}
    first = [
        who | {"img_features": [random_vector(1)]},
        who | {"img_features": [[1, 2.5, -3e7]], "img_base64": photo},
        who | {"img_base64": [photo, f"data:image/png;base64,{photo}"]},
        {"img_base64": photo, "img_crop": False},
        {"image_base64": photo, "liveness": True, "frames": [photo] * 15},
        {"img_base64": photo, "frames": [], "fraud_detection": False, "more": {"a": [{}, None]}},
    ]
    second = [
        {"photo": photo, "frames": [photo] * 15, "checks": ["fraud"], "group": "site-a"},
        {"feature_vector": random_vector(1), "limit": 20},
        {"name": "Grace", "photos": [photo], "metadata": {"a": [1]}, "groups": ["site-a"]},
        {"name": "Grace", "feature_vectors": [random_vector(1)], "external_id": "e-1"},
        {"surname": "Hopper", "groups": ["site-a"], "external_id": None},
    ]
    return dict.fromkeys(_FIRST, _texts(first)) | dict.fromkeys(_SECOND, _texts(second))


def _texts(values: list[dict[str, object]]) -> list[bytes]:
    return [
        json.dumps(value, ensure_ascii=number % 2 == 0).encode()
        for number, value in enumerate(values)
    ]


def damaged(rng: Random, sample: bytes, others: list[bytes], tokens: bool = False) -> bytes:
    """The sample with a few edits."""
    data = bytearray(sample)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5, 8))):
        # the beginning is where the structure is
        at = min(int(len(data) * rng.random() ** 2), max(0, len(data) - 1))
        end = min(len(data), at + rng.choice((1, 2, 4, 4, 16, 64)))
        match rng.randrange(8):
            case 0 if data:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                size = rng.choice((1, 2, 4))
                edge = rng.choice(_EDGES) & ((1 << 8 * size) - 1)
                data[at : at + size] = edge.to_bytes(size, rng.choice(("big", "little")))
            case 2:
                del data[at:end]
            case 3:
                data[at:at] = rng.randbytes(rng.choice((1, 2, 4, 64)))
            case 4:
                data[at:at] = data[at:end] * rng.choice((1, 2, 50))
            case 5 if tokens:
                data[at:at] = rng.choice(_TOKENS)
            case 5:
                del data[at:]
            case 6:
                other = rng.choice(others)
                data[at:end] = other[at:end]
            case _:
                data[at:end] = rng.randbytes(end - at)
    return bytes(data)
