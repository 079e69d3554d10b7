"""What is damaged and how it is read: one maker for each kind of file.

A maker gets a folder and returns a function (rng, number) -> (reader, path): it writes the
mutant; the reader reads it as the program would.
"""

from __future__ import annotations

import io
import os
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.faults.mutants import mutate
from benchmarks.faults.pictures import variants
from yolo.errors import DatasetError, WeightsError

Target = Callable[[np.random.Generator, int], tuple[Callable[[], object], str]]
VALUES = ("0", "-1", "1e9", "nan", "inf", "", "1_0", "9" * 400, "0x10", "½", "1,5", " 7 ", "-0")
PIECES = (
    "<object>", "</object>", "<bndbox>", "<name>", "]]>", "<![CDATA[", "<!--", "&amp;", "&x;",
    "&#0;", "<!DOCTYPE a [<!ENTITY x 'y'>]>", "<?xml version='1.0' encoding='utf-16'?>",
    "\x00", "\ufeff",
    "<?xml version='1.0' encoding='idna'?>", "<a>" * 200, "名", "<xmin>", "<part>",
)  # fmt: skip


def xml(folder: Path) -> Target:
    """Make mutants of a VOC annotation and read the data set around it."""
    from yolo.data.voc import read_split

    root = folder / "VOC2007"
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "JPEGImages" / "a.jpg").write_bytes(variants()["jpeg 420"])
    (root / "ImageSets" / "Main" / "train.txt").write_text("a\n", encoding="utf-8")
    objects = "".join(
        f"<object><name>{name}</name><pose>Left</pose><truncated>0</truncated><difficult>1"
        f"</difficult><bndbox><xmin>{n}</xmin><ymin>2</ymin><xmax>{n + 9}</xmax><ymax>30</ymax>"
        "</bndbox></object>"
        for n, name in ((1, "dog"), (20, "狗"), (31, "cat"))
    )
    good = (
        '<?xml version="1.0" encoding="utf-8"?><annotation><folder>VOC2007</folder>'
        "<filename>a.jpg</filename><size><width>61</width><height>47</height><depth>3</depth>"
        f"</size>{objects}</annotation>"
    )
    path = root / "Annotations" / "a.xml"

    def one(rng: np.random.Generator, number: int):
        text = good
        if number % 2:
            for _ in range(int(rng.integers(1, 4))):
                place = int(rng.integers(len(text)))
                if rng.random() < 0.5:
                    found = list(re.finditer(r"(?<=>)[^<>]*(?=<)", text))
                    spot = found[int(rng.integers(len(found)))].span() if found else (place, place)
                    text = text[: spot[0]] + str(rng.choice(VALUES)) + text[spot[1] :]
                else:
                    text = text[:place] + str(rng.choice(PIECES)) + text[place:]
        encodings = ("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "gb18030")
        data = text.encode(str(rng.choice(encodings)))
        _write(path, data if number % 4 == 1 else mutate(data, rng, head=60), number)
        return lambda: read_split(root, "train", classes=["dog", "cat", "狗"]), "a.xml"

    return one


def coco(folder: Path) -> Target:
    """Make mutants of a COCO instances file."""
    import json

    from yolo.data.coco import read_coco

    (folder / "images").mkdir(exist_ok=True)
    (folder / "images" / "a.jpg").write_bytes(variants()["jpeg 420"])
    good = json.dumps({
        "images": [{"id": 1, "file_name": "a.jpg", "height": 47, "width": 61}],
        "categories": [{"id": 3, "name": "dog"}, {"id": 7, "name": "cat"}],
        "annotations": [
            {"id": n, "image_id": 1, "category_id": 3 + 4 * (n % 2), "bbox": [n, 2, 9, 20.5],
             "iscrowd": 0, "area": 180} for n in range(4)
        ],
    })  # fmt: skip
    values = (
        "null",
        "[]",
        "{}",
        "1e999",
        "NaN",
        "-1",
        '"x"',
        "9" * 400,
        "true",
        '"../a"',
        "[" * 999,
    )
    path = folder / "instances.json"

    def one(rng: np.random.Generator, number: int):
        data = good.encode()
        if number % 2:
            found = list(re.finditer(r"(?<=[:\[,] )[^\s,\[\]{}]+", good))
            start, end = found[int(rng.integers(len(found)))].span()
            data = (good[:start] + str(rng.choice(values)) + good[end:]).encode()
        _write(path, data if number % 2 else mutate(data, rng), number)
        return lambda: read_coco(path, folder / "images"), "instances.json"

    return one


def pictures(kind: str) -> Callable[[Path], Target]:
    """Return the maker of mutants of a picture format, read as prediction does."""

    def make(folder: Path) -> Target:
        from yolo.headers import read_header
        from yolo.images import read_image

        files = [data for name, data in variants().items() if name.startswith(kind)]
        path = folder / f"mutant.{kind}"

        def one(rng: np.random.Generator, number: int):
            _write(path, mutate(files[number % len(files)], rng), number)

            def read():
                read_header(path)
                read_image(path)

            return read, path.name

        return one

    return make


def training(folder: Path) -> Target:
    """Make mutants of JPEG files, read as training does."""
    import tensorflow as tf

    from yolo.data.sample import Sample
    from yolo.data.store import Store, find_damaged
    from yolo.headers import read_header

    files = [data for name, data in variants().items() if name.startswith("jpeg")]
    path = folder / "mutant.jpg"

    def one(rng: np.random.Generator, number: int):
        _write(path, mutate(files[number % len(files)], rng), number)

        def read():
            size = read_header(path).size
            none = np.zeros((0, 4), np.float32), np.zeros(0, np.int32), np.zeros(0, bool)
            sample = Sample(path, *none, none[2], size, "a")
            whole = np.array(size, np.int32)
            pixels = tf.function(Store([sample]).pixels)
            try:
                pixels(np.int64(0), np.zeros(2, np.int32), whole)
            except tf.errors.OpError as error:
                found = re.search(r"DatasetError: ([^\n]+)", str(error))
                if found:
                    raise DatasetError(found[1]) from None
                find_damaged([sample])
                raise

        return read, path.name

    return one


def darknet(folder: Path) -> Target:
    """Make mutants of a Darknet file; an error must leave the model as it was."""
    import yolo
    from yolo.weights import darknet as reader

    model = yolo.build("yolov4-tiny", classes=["a", "b"], image_size=(64, 64))
    path = folder / "mutant.weights"
    reader.save(model, path)
    good = path.read_bytes()
    special = [struct.pack("<f", x) for x in (np.nan, np.inf, -np.inf, -1.0, 3e38, 0.0)]

    def one(rng: np.random.Generator, number: int):
        _write(path, good, number)  # the next mutant is one of the good file again
        if number % 4 == 0:  # its length
            change = int(rng.choice([-20, -5, -4, -1, 1, 4, 8, 4096, -len(good) // 2, -len(good)]))
            with path.open("r+b") as file:
                file.truncate(max(0, len(good) + change))
        elif number % 4 == 1:  # its header
            with path.open("r+b") as file:
                file.write(mutate(good[:20], rng)[:20])
        else:  # its values; the first convolution's variances stand at 404
            with path.open("r+b") as file:
                end = 3000 if number % 4 == 2 else len(good) - 24
                file.seek(20 + 4 * int(rng.integers(end // 4)))
                file.write(special[int(rng.integers(len(special)))])
        os.utime(path, ns=(number + 1, number + 1))
        return _unchanged(model, lambda: reader.load(model, path)), path.name

    return one


def keras(folder: Path) -> Target:
    """Make mutants of our `.keras` files: the archive, its config, its HDF5 structure.

    Those of the config and of HDF5 go around the archive's checksums, as a malicious file would.
    """
    import yolo
    from yolo import archive, saved

    model = yolo.build("yolov4-tiny", classes=["a", "b"], image_size=(64, 64))
    path = folder / "mutant.keras"
    model.save(path)
    good = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(good)) as opened:
        config = opened.read(archive.CONFIG)
        weights = opened.read(archive.WEIGHTS)
    structure = _not_tensors(weights)
    values = ("null", "[]", "1e999", "-1", '"x"', "4294967296", "[[0]]", "true", '"builtins"')

    def one(rng: np.random.Generator, number: int):
        kind = number % 4
        if kind == 0:
            data = bytearray(good)
            place = (
                int(rng.integers(len(data))) if rng.random() < 0.5 else -int(rng.integers(1, 700))
            )
            data[place] ^= 1 << int(rng.integers(8))
            if rng.random() < 0.3:
                del data[int(rng.integers(len(data))) :]
            _write(path, bytes(data), number)
            return _unchanged(model, lambda: saved.transfer(model, path)), path.name
        if kind == 1:
            found = list(re.finditer(rb"(?<=: )[^\s,{}]+", config))
            start, end = found[int(rng.integers(len(found)))].span()
            text = config[:start] + str(rng.choice(values)).encode() + config[end:]
            text = text if rng.random() < 0.5 else mutate(config, rng)

            def read():
                arguments = archive.parse_config(text, path)
                if number % 64 == 1:  # building takes long
                    archive.build(arguments, len(weights), path)

            return read, path.name
        data = bytearray(weights)
        for _ in range(int(rng.integers(1, 5))):
            start, end = structure[int(rng.integers(len(structure)))]
            data[int(rng.integers(start, end))] = int(
                rng.choice([0, 1, 127, 255, rng.integers(256)])
            )
        return _unchanged(model, lambda: archive.fill(model, bytes(data), path)), path.name

    return one


def _not_tensors(weights: bytes) -> list[tuple[int, int]]:
    """Return the stretches of an HDF5 file that are structure, not values."""
    import h5py

    tensors: list[tuple[int, int]] = []

    def note(_name, item):
        if isinstance(item, h5py.Dataset):
            tensors.append((item.id.get_offset(), item.id.get_offset() + item.nbytes))

    with h5py.File(io.BytesIO(weights)) as file:
        file.visititems(note)
    edges = [0, *(edge for tensor in sorted(tensors) for edge in tensor), len(weights)]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [(start, end) for start, end in pairs if end > start]


def _unchanged(model, read: Callable[[], object]) -> Callable[[], None]:
    """Return the reader, which fails if it raises and the model is not as it was."""
    before = [v.numpy().copy() for v in model.network.variables]

    def checked() -> None:
        try:
            read()
        except WeightsError:
            now = [v.numpy() for v in model.network.variables]
            if not all(
                np.array_equal(a, b, equal_nan=True) for a, b in zip(before, now, strict=True)
            ):
                raise AssertionError("a refused file changed the model") from None
            raise
        for variable, value in zip(model.network.variables, before, strict=True):
            variable.assign(value)

    return checked


def _write(path: Path, data: bytes, number: int) -> None:
    path.write_bytes(data)
    os.utime(path, ns=(number + 1, number + 1))  # what is remembered of the last one is not this


FORMATS = ("jpeg", "png", "webp", "gif", "bmp", "tiff")
TARGETS: dict[str, Callable[[Path], Target]] = {
    "xml": xml,
    "coco": coco,
    **{kind: pictures(kind) for kind in FORMATS},
    "training": training,
    "darknet": darknet,
    "keras": keras,
}
