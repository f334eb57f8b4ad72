"""Small files that claim to be giants: refused by their headers, in the engine and over HTTP."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import device_fixture
import numpy as np
import psutil
import pytest
from device_fixture import png
from PIL import Image

from bedside.core.errors import BadInput
from bedside.runtime import preprocess
from bedside.runtime.bundle import signing
from bedside.runtime.bundle.reader import open_bundle
from bedside.runtime.device import Device

cells, keys, file = device_fixture.cells, device_fixture.keys, device_fixture.file
MB = 1_000_000


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(
        ">I", zlib.crc32(kind + data))


def _png(width, height, depth=8, colour=0, rows=0, between=b""):
    """A PNG of zeros: ``rows`` of its rows are really there."""
    line = b"\0" + bytes(-(-width * depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour] // 8))
    squeezed = zlib.compressobj(9)
    body = b"".join([*(squeezed.compress(line) for _ in range(rows)), squeezed.flush()])
    return (b"\x89PNG\r\n\x1a\n"
            + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
            + (_chunk(b"PLTE", bytes(768)) if colour == 3 else b"") + between
            + _chunk(b"IDAT", body) + _chunk(b"IEND", b""))


def _animated():
    buffer = io.BytesIO()
    frames = [Image.new("L", (64, 64), v) for v in range(40)]
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def _jpeg(width, height, **options):
    """A JPEG whose frame header claims another size."""
    buffer = io.BytesIO()
    Image.fromarray(np.arange(4096, dtype=np.uint8).reshape(64, 64)).save(buffer, "JPEG",
                                                                           **options)
    data = bytearray(buffer.getvalue())
    marker = b"\xff\xc2" if options.get("progressive") else b"\xff\xc0"
    at = bytes(data).index(marker)
    data[at + 5:at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def _bmp(width, height):
    return (b"BM" + struct.pack("<IHHI", 1078, 0, 0, 1078)
            + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 0, 0, 0, 0, 256, 0)
            + bytes(1024) + bytes(64))


def tiff(frames=1, side=8, **changes):
    """An uncompressed grey TIFF whose directories follow one another."""
    tags = {256: (4, side), 257: (4, side), 258: (3, 8), 259: (3, 1), 262: (3, 1), 273: (4, 8),
            277: (3, 1), 278: (4, side), 279: (4, 64)} | changes.get("tags", {})

    def directory(after):
        return struct.pack("<H", len(tags)) + b"".join(
            struct.pack("<HHI", tag, kind, 1) + (struct.pack("<HH", value, 0) if kind == 3
                                                 else struct.pack("<I", value))
            for tag, (kind, value) in sorted(tags.items())) + struct.pack("<I", after)

    size = len(directory(0))
    return struct.pack("<2sHI", b"II", 42, 72) + bytes(range(64)) + b"".join(
        directory(72 + (i + 1) * size if i < frames - 1 else 0) for i in range(frames))


def _gif(width, height):
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + b";"


BOMBS = {
    "grey PNG, 164 megapixels": lambda: _png(12800, 12800, rows=12800),
    "colour PNG": lambda: _png(12800, 12800, colour=2, rows=500),
    "PNG with alpha": lambda: _png(20000, 20000, colour=6),
    "palette PNG": lambda: _png(12800, 12800, colour=3, rows=4000),
    "16-bit PNG": lambda: _png(12800, 12800, depth=16, rows=2000),
    "1-bit PNG": lambda: _png(50000, 50000, depth=1, rows=10),
    "PNG of 2^31 - 1 columns": lambda: _png(2**31 - 1, 1, rows=0),
    "PNG just past the limit": lambda: _png(8001, 5000, rows=10),
    "animated PNG": _animated,
    "truncated PNG": lambda: png()[:len(png()) // 2],
    "PNG whose text unpacks to 500 MB": lambda: _png(64, 64, rows=64, between=_chunk(
        b"zTXt", b"x\0\0" + zlib.compress(bytes(500 * MB // 8) * 8, 1))),
    "JPEG of 65500 squared": lambda: _jpeg(65500, 65500),
    "progressive JPEG of 65500 squared": lambda: _jpeg(65500, 65500, progressive=True),
    "truncated JPEG": lambda: _jpeg(64, 64)[:300],
    "BMP of 2^30 columns": lambda: _bmp(2**30, 4),
    "BMP of negative height": lambda: _bmp(60000, -60000),
    "TIFF of 2^31 pixels": lambda: tiff(side=46341),
    "TIFF of 20,000 frames": lambda: tiff(frames=20000),
    "TIFF with a strip of 4 GB": lambda: tiff(tags={279: (4, 2**32 - 1), 273: (4, 2**32 - 9)}),
    "GIF of 65535 squared": lambda: _gif(65535, 65535),
}


@pytest.fixture(scope="module")
def device(file, keys):
    with Device(open_bundle(file, {signing.read_public(keys[1])})) as made:
        made.image(png(), "first")
        yield made


def _seconds(pid):
    """Processor time of the engine: the clock's would be the machine's load."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def _peak(pid):
    (line,) = (x for x in Path(f"/proc/{pid}/status").read_text().splitlines()
               if x.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_bombs_are_refused_early_and_the_engine_goes_on(device, name):
    bomb = BOMBS[name]()
    assert len(bomb) < 4 * MB
    pid = device.pid
    before, start = _peak(pid), _seconds(pid)
    with pytest.raises(BadInput) as refused:
        device.image(bomb, "bomb")
    assert refused.value.remedy
    assert _seconds(pid) - start < 2
    assert _peak(pid) - before < 64 * MB
    assert device.pid == pid
    assert sum(device.image(png(), "good")[0].probabilities.values()) == pytest.approx(1)


def test_a_tiff_of_one_frame_is_read():
    np.testing.assert_array_equal(preprocess.decode(tiff()),
                                  np.arange(64, dtype=np.uint8).reshape(8, 8))

