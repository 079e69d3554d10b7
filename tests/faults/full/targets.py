"""What is damaged and how it is read: one maker for each kind of file.

A maker gets a folder and returns a function (rng, number) -> (reader, name): it writes the
mutant; the reader reads it as the program would, and all it says must hold the name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.faults.full import labels, weights
from tests.faults.full.archives import archives
from tests.faults.full.mutants import mutate, write
from tests.faults.full.pictures import variants
from yolo.errors import DatasetError

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
    from yolo.data.folder import open_folder

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
        write(path, data if number % 4 == 1 else mutate(data, rng, head=60), number)
        return lambda: open_folder(root).read("train", classes=["dog", "cat", "狗"]), "a.xml"

    return one


def coco(folder: Path) -> Target:
    """Make mutants of a COCO instances file."""
    import json

    from yolo.data.formats.coco import open_file

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
        write(path, data if number % 2 else mutate(data, rng), number)
        # A line may be about a picture that it names, too.
        return lambda: open_file(path, folder / "images").read(path.stem), folder.name

    return one


def pictures(kind: str) -> Callable[[Path], Target]:
    """Return the maker of mutants of a picture format, read as prediction does."""

    def make(folder: Path) -> Target:
        from yolo.pictures.files import read_image
        from yolo.pictures.header import read_header

        files = [data for name, data in variants().items() if name.startswith(kind)]
        path = folder / f"mutant.{kind}"

        def one(rng: np.random.Generator, number: int):
            write(path, mutate(files[number % len(files)], rng), number)

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
    from yolo.pictures.header import read_header

    files = [data for name, data in variants().items() if name.startswith("jpeg")]
    path = folder / "mutant.jpg"

    def one(rng: np.random.Generator, number: int):
        write(path, mutate(files[number % len(files)], rng), number)

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
                faults, _ = find_damaged([sample])
                if faults:
                    raise DatasetError(faults[0]) from None
                raise

        return read, path.name

    return one


def _in_turn(*makers: Callable[[Path], Target]) -> Callable[[Path], Target]:
    """Return the maker of mutants of several kinds of files, one after the other."""

    def make(folder: Path) -> Target:
        targets = [maker(folder) for maker in makers]
        return lambda rng, number: targets[number % len(targets)](rng, number // len(targets))

    return make


FORMATS = ("jpeg", "png", "webp", "gif", "bmp", "tiff")
TARGETS: dict[str, Callable[[Path], Target]] = {
    "xml": xml,
    "coco": coco,
    "labels": _in_turn(*labels.ALL),
    "archives": archives,
    **{kind: pictures(kind) for kind in FORMATS},
    "training": training,
    "darknet": weights.darknet,
    "keras": weights.keras,
    "h5": weights.h5,
    "npz": weights.npz,
    "safetensors": weights.safetensors,
    "others": _in_turn(weights.h5, weights.npz, weights.safetensors),
}
