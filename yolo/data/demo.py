"""The embedded data set: shapes and line patterns, drawn as a real VOCdevkit tree."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from yolo.data.shapes import SHAPES_CLASSES, DrawnObject, draw_picture
from yolo.errors import DatasetError
from yolo.headers import printable
from yolo.images import cv2

log = logging.getLogger("yolo")

VERSION = 1  # goes up when the drawings change, so that older folders are drawn again


def write_shapes(
    root: str | os.PathLike, *, seed: int = 0, train: int = 320, val: int = 40, test: int = 80
) -> Path:
    """Draw the demonstration data set, unless it is there already.

    The tree appears complete or not at all. One that stands in the way and is not the same data
    set, or has lost files, is set aside under another name, never deleted.

    Args:
        root: a folder of its own, as datasets/shapes.
        seed: decides every picture; the same seed gives the same pictures.
        train: pictures in the training split.
        val: pictures in the validation split.
        test: pictures in the test split.

    Returns:
        The folder `root`/VOCdevkit/VOC2007 with Annotations, JPEGImages and ImageSets/Main.

    Raises:
        DatasetError: the folder cannot be written.
    """
    root = Path(root)
    lists = _lists(train=train, val=val, test=test)
    about = (
        "Shapes and line patterns, drawn by the program: a data set in PASCAL VOC format\n"
        "to try things with, and a model for one of your own.\n"
        f"version {VERSION}, seed {seed}, train {train}, val {val}, test {test}\n"
        f"classes: {', '.join(SHAPES_CLASSES)}\n"
    )
    folder = root / "VOCdevkit" / "VOC2007"
    if _is_complete(folder, about, lists):
        return folder
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".drawing-") as temporary:
            _write_tree(Path(temporary) / "VOCdevkit" / "VOC2007", about, lists, seed)
            _set_aside(root / "VOCdevkit")
            (Path(temporary) / "VOCdevkit").rename(root / "VOCdevkit")
    except OSError as error:
        if _is_complete(folder, about, lists):  # another process was quicker
            return folder
        raise DatasetError(
            f"{printable(root)}: the demonstration data set cannot be written: {error.strerror}"
        ) from None
    log.info(
        "%s: drew %d pictures",
        printable(folder),
        len(lists["train"] + lists["val"]) + len(lists["test"]),
    )
    return folder


def _lists(**counts: int) -> dict[str, list[str]]:
    lists, first = {}, 1
    for split, count in counts.items():
        lists[split] = [f"{n:06d}" for n in range(first, first + count)]
        first += count
    lists["trainval"] = lists["train"] + lists["val"]
    return lists


def _is_complete(folder: Path, about: str, lists: dict[str, list[str]]) -> bool:
    try:
        if (folder / "README.txt").read_text(encoding="utf-8") != about:
            return False
        annotations = {p.name for p in (folder / "Annotations").iterdir()}
        pictures = {p.name for p in (folder / "JPEGImages").iterdir()}
        listed = {p.name for p in (folder / "ImageSets" / "Main").iterdir()}
    except OSError:
        return False
    stems = lists["trainval"] + lists["test"]
    return (
        annotations.issuperset(f"{s}.xml" for s in stems)
        and pictures.issuperset(f"{s}.jpg" for s in stems)
        and listed.issuperset(f"{split}.txt" for split in lists)
    )


def _set_aside(folder: Path) -> None:
    if not folder.exists():
        return
    number = 1
    while (aside := folder.with_name(f"{folder.name}.old{number}")).exists():
        number += 1
    folder.rename(aside)
    log.warning(
        "%s: incomplete or of other settings; kept as %s and drawn anew",
        printable(folder),
        printable(aside.name),
    )


def _write_tree(folder: Path, about: str, lists: dict[str, list[str]], seed: int) -> None:
    for part in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / part).mkdir(parents=True)
    for stem in lists["trainval"] + lists["test"]:
        image, objects = draw_picture(np.random.default_rng([seed, int(stem)]))
        _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
        (folder / "JPEGImages" / f"{stem}.jpg").write_bytes(data.tobytes())
        text = annotation_xml(f"{stem}.jpg", image.shape[:2], objects)
        (folder / "Annotations" / f"{stem}.xml").write_text(text, encoding="utf-8")
    for split, stems in lists.items():
        text = "".join(f"{stem}\n" for stem in stems)
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text(text, encoding="utf-8")
    (folder / "README.txt").write_text(about, encoding="utf-8")


def annotation_xml(filename: str, size: tuple[int, int], objects: list[DrawnObject]) -> str:
    """Write an annotation in PASCAL VOC format: pixels counted from 1, the last one inside.

    Args:
        filename: of the picture, without a folder.
        size: (height, width) of the picture.
        objects: what it shows.

    Returns:
        The XML text.

    Example:
        >>> text = annotation_xml("1.jpg", (9, 9), [DrawnObject("star", (0, 0, 4, 9))])
        >>> [line.strip() for line in text.splitlines() if "min" in line or "max" in line]
        ['<xmin>1</xmin>', '<ymin>1</ymin>', '<xmax>4</xmax>', '<ymax>9</ymax>']
    """
    lines = [
        "<annotation>",
        "  <folder>VOC2007</folder>",
        f"  <filename>{escape(filename)}</filename>",
        f"  <size>\n    <width>{size[1]}</width>\n    <height>{size[0]}</height>\n"
        "    <depth>3</depth>\n  </size>",
        "  <segmented>0</segmented>",
    ]
    for item in objects:
        x1, y1, x2, y2 = item.box
        lines += [
            f"  <object>\n    <name>{escape(item.name)}</name>",
            "    <pose>Unspecified</pose>",
            f"    <truncated>{item.truncated:d}</truncated>",
            f"    <difficult>{item.difficult:d}</difficult>",
            f"    <bndbox>\n      <xmin>{x1 + 1}</xmin>\n      <ymin>{y1 + 1}</ymin>",
            f"      <xmax>{x2}</xmax>\n      <ymax>{y2}</ymax>\n    </bndbox>\n  </object>",
        ]
    return "\n".join([*lines, "</annotation>", ""])
