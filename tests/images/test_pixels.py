from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen.images.reader import count_pixels, read_image
from tests.images.test_reader import encoded, gradient


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"])
@pytest.mark.parametrize("band", [1, 7, 100])
def test_pictures_are_converted_band_by_band_as_they_are_whole(
    mode: str, band: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (13, 11, 4), dtype=np.uint8)
    if mode in ("I;16", "I", "F"):
        kind = {"I;16": "u2", "I": "i4", "F": "f4"}[mode]
        image = Image.fromarray((levels[:, :, 0].astype(np.uint16) * 200).astype(kind))
    else:
        image = Image.fromarray(levels).convert(mode)
    if mode == "P":
        image.info["transparency"] = 3
    whole = read_image(image)
    monkeypatch.setattr("cmaen.images.pixels._BAND_PIXELS", band)
    assert np.array_equal(read_image(image), whole)


PEAK = """
import pathlib, re, sys
from PIL import Image
from cmaen.images.reader import read_image

def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) * 1024

Image.init()
content = pathlib.Path(sys.argv[1]).read_bytes()
before = peak()
pixels = read_image(content)
print((peak() - before) / (pixels.size / 3))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of a process as Linux tells it")
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16", "F"])
def test_a_small_file_of_many_pixels_takes_a_bounded_memory(mode: str, tmp_path: Path) -> None:
    Image.new(mode, (4000, 2500)).save(tmp_path / "a.tif", compression="tiff_deflate")
    command = [sys.executable, "-c", PEAK, tmp_path / "a.tif"]
    bytes_each = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert 3 <= bytes_each < 19


def test_pixels_are_counted_before_they_are_decoded() -> None:
    content = encoded(gradient(40, 30), "PNG")
    assert count_pixels(content) == count_pixels(content[:-20]) == 1200
    assert count_pixels(b"") == count_pixels(b"text") == count_pixels(content[:10]) == 0
