"""Files that would cost seconds or gigabytes if they were believed (T17)."""

import json
import resource
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import pytest

from tests.faults.full.pictures import chunk
from yolo.errors import YoloError

ROOT = Path(__file__).resolve().parents[2]
SECONDS, MEGABYTES = 0.5, 100


def webp(side):
    bits = (side - 1) | (side - 1) << 14
    body = b"WEBPVP8L" + struct.pack("<I", 14) + b"\x2f" + struct.pack("<I", bits) + bytes(9)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def png(width, height, *, depth=8, color=2, body=b"", extra=b""):
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(body))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + pixels + chunk(b"IEND", b"")


def jpeg(width, height, scans=1):
    start = (
        b"\xff\xd8" + b"\xff\xc2" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\0"
    )
    scan = b"\xff\xda" + struct.pack(">HB", 8, 1) + b"\x01\0\0\0\0"
    return start + scan * scans + b"\xff\xd9"


def gif(side):
    frame = b"\x2c" + struct.pack("<HHHH", 0, 0, side, side) + b"\0\x08\x02\x8a\x01\0"
    return b"GIF89a" + struct.pack("<HH", side, side) + b"\x80\0\0" + bytes(6) + frame + b"\x3b"


def bmp(width, height, compression=0):
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, compression, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 58, 0, 0, 54) + head + bytes(4)


def tiff(width, height, **tags):
    entries = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height,
               279: 4, **{int(k[1:]): v for k, v in tags.items()}}  # fmt: skip
    body = b"".join(struct.pack("<HHII", k, 4, 1, v) for k, v in sorted(entries.items()))
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + body + bytes(4)


def laughs(count):
    entities = "".join(
        f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(count)
    )
    return f"<!DOCTYPE a [{entities}]><annotation>&l{count - 1};</annotation>".encode()


PICTURES = {
    "34 bytes of webp": webp(16383),
    "34 bytes of webp within the limit": webp(9999),
    "png of 1 bit": png(30000, 30000, depth=1, color=0, body=bytes(1000)),
    "png of 400 megapixels": png(20000, 20000, body=bytes(1 << 20)),
    "png of a flipped width": png(9_000_000, 11, body=bytes(3000)),
    "png chunk of 3 GB": png(60, 40, depth=4, color=0).replace(b"IDAT", b"IDAT", 1)[:33]
    + struct.pack(">I", 3_000_000_000) + b"IDAT" + bytes(99),
    "png of a million chunks": png(60, 40, extra=chunk(b"teXt", b"") * 1_000_000),
    "jpeg of 65000": jpeg(65000, 65000),
    "jpeg of 90 megapixels in no bytes": jpeg(9500, 9500),
    "jpeg of thousands of scans": jpeg(9000, 9000, scans=30_000),
    "jpeg of fill bytes": b"\xff\xd8" + b"\xff" * 20_000_000,
    "gif of 65535": gif(65535),
    "gif of 9000": gif(9000),
    "bmp of 2 gigapixels": bmp(2**31 - 1, 1),
    "bmp of 90 megapixels": bmp(9500, -9500),
    "bmp of runs": bmp(9500, 9500, compression=1),
    "tiff of 65535": tiff(65535, 65535),
    "tiff of a huge tile": tiff(64, 64, t322=60000, t323=60000),
    "tiff of 90 megapixels": tiff(9500, 9500),
}  # fmt: skip
ANNOTATIONS = {
    "billion laughs": laughs(10),
    "quadratic": b'<!DOCTYPE a [<!ENTITY x "' + b"x" * 50_000 + b'">]><annotation>'
    + b"&x;" * 50_000 + b"</annotation>",
    "outside entity": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;'
    b"</annotation>",
    "depth": b"<annotation>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</annotation>",
    "elements": b"<annotation>" + b"<a/>" * 2_400_000 + b"</annotation>",
    "length": b"<annotation>" + b" " * 10_000_001 + b"</annotation>",
    "punycode": b"<?xml version='1.0' encoding='punycode'?>" + b"a-" * 1_000_000,
    "idna": b"<?xml version='1.0' encoding='idna'?>" + b"a" * 1_000_000,
    "zlib": b"<?xml version='1.0' encoding='zlib'?>" + zlib.compress(bytes(10_000_000)),
}  # fmt: skip
JSON = {
    "depth": b"[" * 5_000_000,
    "digits": b'{"images": ' + b"9" * 1_000_000 + b"}",
    "number": json.dumps(
        {"images": [{"id": 1, "file_name": "a"}], "categories": [{"id": 1, "name": "a"}],
         "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10**400, 1, 1, 1]}]}
    ).encode(),
}  # fmt: skip
READERS = {
    "picture": "from yolo.pictures.files import read_image as read",
    "xml": "from yolo.data.formats.voc import read_annotation as read",
    "json": "from yolo.data.formats.coco import open_file\n"
    "read = lambda path: (lambda opened: opened.read(*opened.lists))(open_file(path, '.'))",
}  # fmt: skip
BOMBS = {
    **{f"picture: {k}": v for k, v in PICTURES.items()},
    **{f"xml: {k}": v for k, v in ANNOTATIONS.items()},
    **{f"json: {k}": v for k, v in JSON.items()},
}
CHILD = """
import json, resource, sys, time
from yolo.errors import DatasetError
kind, *paths = sys.argv[1:]
{reader}
before, found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
for path in paths:
    start = time.process_time()
    try:
        read(path); answer = "read"
    except DatasetError as error:
        answer = str(error)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found.append([answer, seconds, (peak - before) / 1024]); before = peak
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Let a child for each kind of reader read all bombs; return what it said of each."""
    folder, found = tmp_path_factory.mktemp("bombs"), {}
    for kind, reader in READERS.items():
        names = [name for name in BOMBS if name.startswith(f"{kind}:")]
        paths = []
        for number, name in enumerate(names):
            paths.append(folder / f"{kind}{number}")
            paths[-1].write_bytes(BOMBS[name])
        done = subprocess.run(
            [sys.executable, "-c", CHILD.format(reader=reader), kind, *map(str, paths)],
            cwd=ROOT, capture_output=True, check=True, timeout=300,
        )  # fmt: skip
        for name, path, answer in zip(names, paths, json.loads(done.stdout), strict=True):
            found[name] = (path, *answer)
    return found


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_at_once(answers, name):
    path, text, seconds, megabytes = answers[name]
    assert text.startswith(f"{path}: ") and max(map(len, text.splitlines())) < 400
    assert seconds < SECONDS and megabytes < MEGABYTES


def test_what_is_said(answers):
    said = {name: answers[name][1].partition(": ")[2] for name in BOMBS}
    assert said["picture: 34 bytes of webp"].startswith("16383x16383 pixels; expected at most 100")
    assert said["picture: png of a flipped width"].startswith(
        "the header says 9000000x11 pixels, which "
    )
    assert "more than 100 elements within each other" in said["xml: depth"]
    assert "more than 200000 elements" in said["xml: elements"]
    assert "the encoding idna is not taken" in said["xml: idna"]
    for name in ("billion laughs", "quadratic", "outside entity"):
        assert "document type or entities" in said[f"xml: {name}"]


def sparse(path, start, size):
    path.write_bytes(start)
    with path.open("r+b") as file:
        file.truncate(size)
    return path


def test_files_that_are_mostly_holes(tmp_path):
    from yolo.data.formats.voc import read_annotation
    from yolo.pictures.files import read_image
    from yolo.pictures.header import read_header
    from yolo.weights import darknet

    huge, header = 1 << 40, struct.pack("<5i", 0, 2, 5, 0, 0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    cases = [
        (read_image, sparse(tmp_path / "a.png", png(9, 9), huge)),
        (read_header, sparse(tmp_path / "b.jpg", jpeg(9, 9), huge)),
        (read_annotation, sparse(tmp_path / "a.xml", b"<annotation>", huge)),
        (darknet.read, sparse(tmp_path / "a.weights", header, huge)),
    ]  # fmt: skip
    for read, path in cases:
        with pytest.raises(YoloError, match="bytes; expected at most"):
            read(path)
    assert time.process_time() - began < SECONDS
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert (peak - before) / 1024 < MEGABYTES


def test_an_archive_that_names_more_than_it_holds(tmp_path):
    from yolo.weights import loading

    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", b"x" * 1000)
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\x01\x02")  # the directory's entry of the weights
    data[place + 20 : place + 28] = struct.pack("<II", 2**31, 2**31)
    path.write_bytes(data)
    began = time.process_time()
    with pytest.raises(YoloError, match="not a complete model|not a detector"):
        loading.load(path)
    assert time.process_time() - began < SECONDS
