"""A picture for which there is no memory."""

import subprocess
import sys


def test_lack_of_memory_is_not_reported_as_damage() -> None:
    """In a process that may have 60 MB more than it has; the picture takes 150."""
    code = """
import io, resource
from PIL import Image
from app.recognition.image import Photo
file = io.BytesIO()
Image.new("RGB", (7_000, 7_000)).save(file, "PNG", compress_level=1)
photo = Photo(file.getvalue(), max_megapixels=50)
has = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (has + 60_000_000, -1))
try:
    photo.decode()
except MemoryError:
    print("no memory")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "no memory\n", done.stderr
