"""Files that are small and cost much, or are not what they say."""

import struct
import zlib
from io import BytesIO

from PIL import Image

from testbed.photos import ASTRONAUT, encoded

LARGEST = 7_050  # rows and columns of a picture just below 50 megapixels
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>1</script></svg>'
PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /OpenAction << /S /JavaScript >> >>\nendobj\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def zeros(size: int) -> bytes:
    """So many zeros, compressed."""
    packer, block = zlib.compressobj(9), bytes(1 << 20)
    parts = [packer.compress(block[: min(len(block), size - at)]) for at in range(0, size, 1 << 20)]
    return b"".join(parts) + packer.flush()


def png(columns: int, rows: int, bits: int = 1, colour: int = 0, interlaced: bool = False) -> bytes:
    """A black PNG. colour: 0 grey, 2 RGB, 3 palette with transparency, 4 grey and alpha, 6 RGBA."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    size = rows * (1 + (columns * bits * channels + 7) // 8)
    data = zeros(2 * size if interlaced else size)
    palette = chunk(b"PLTE", bytes(768)) + chunk(b"tRNS", bytes(256)) if colour == 3 else b""
    header = struct.pack(">IIBBBBB", columns, rows, bits, colour, 0, 0, interlaced)
    parts = chunk(b"IHDR", header) + palette + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def webp(side: int) -> bytes:
    """Black, a few kB."""
    return encoded(Image.new("RGB", (side, side)), "WEBP", lossless=True, method=0)


def faces() -> bytes:
    """A picture of 1,264 faces, 140 kB."""
    with Image.open(ASTRONAUT) as astronaut:
        face = astronaut.convert("RGB").crop((160, 50, 290, 200)).resize((60, 60))
    crowd = Image.new("RGB", (959, 4_790))
    for place in range(16 * 79):
        crowd.paste(face, (place % 16 * 60, place // 16 * 60))
    return encoded(crowd, "WEBP", quality=80)


def portrait(columns: int, rows: int, side: int, turned: bool = False) -> bytes:
    """A PNG of one face in much black. side: of the photo with the face, in pixels."""
    canvas = Image.new("RGB", (columns, rows))
    with Image.open(ASTRONAUT) as astronaut:
        canvas.paste(astronaut.convert("RGB").resize((side, side)), (0, rows // 2))
    if turned:
        canvas = canvas.transpose(Image.Transpose.ROTATE_90)
    return encoded(canvas, compress_level=1)


def tiff(columns: int, rows: int, tags: dict[int, int], data: bytes) -> bytes:
    """A grey deflated TIFF. tags: in addition to size and kind; 324 and 273 point to the data."""
    kind = {256: columns, 257: rows, 258: 8, 259: 8, 262: 1, 277: 1}
    entries = sorted((kind | tags).items())
    directory = struct.pack("<H", len(entries))
    for tag, value in entries:
        directory += struct.pack("<HHII", tag, 4, 1, 8 if tag in (273, 324) else value)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + bytes(4)


def tiff_with_a_large_tile() -> bytes:
    """64 × 64 pixels of a tile that has 20,000 × 20,000."""
    data = zeros(20_000 * 20_000)
    return tiff(64, 64, {322: 20_000, 323: 20_000, 324: 0, 325: len(data)}, data)


def tiff_with_a_long_strip() -> bytes:
    """64 × 64 pixels of a strip that unpacks to 200 MB and says it has four billion rows."""
    data = zeros(200_000_000)
    return tiff(64, 64, {273: 0, 278: 2**32 - 1, 279: len(data)}, data)


def jpeg_of_many_scans(scans: int, side: int = 1_000) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = encoded(Image.new("RGB", (side, side)), "JPEG", progressive=True, subsampling=0)
    last = data[data.rfind(b"\xff\xda") : -2]
    return data[:-2] + last * (scans - data.count(b"\xff\xda")) + data[-2:]


def animation(form: str, frames: int = 10_000) -> bytes:
    """Frames that all differ."""
    first = Image.new("RGB" if form != "GIF" else "P", (64, 64))
    rest = [Image.new(first.mode, first.size, number % 256) for number in range(1, frames)]
    file = BytesIO()
    first.save(file, form, save_all=True, append_images=rest, duration=20)
    return file.getvalue()


def avif_that_lies(side: int = 8_000) -> bytes:
    """It says 64 × 64 and holds many more."""
    data = encoded(Image.new("RGB", (side, side)), "AVIF", speed=10)
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", 64, 64) + data[at + 8 :]


def jpeg_that_lies(data: bytes, side: int) -> bytes:
    """A baseline JPEG whose header says it has so many rows and columns."""
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", side, side) + data[at + 4 :]
