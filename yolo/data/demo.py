"""The embedded data set: shapes and line patterns, drawn as a real VOCdevkit tree."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

import numpy as np

from yolo.data.demo_pictures import FULL, SHAPES_CLASSES, Drawing, draw_picture
from yolo.data.formats.voc import annotation_xml
from yolo.errors import DatasetError
from yolo.pictures.files import cv2
from yolo.system.reading import printable

log = logging.getLogger("yolo")

VERSION = 1  # goes up when the drawings change, so that older folders are drawn again


def write_shapes(
    root: str | os.PathLike, *, seed: int = 0, train: int = 320, val: int = 40, test: int = 80,
    drawing: Drawing = FULL,
) -> Path:  # fmt: skip
    """Draw the demonstration data set, unless it is there already.

    The tree appears complete or not at all. One that stands in the way and is not the same data
    set, or has lost files, is set aside under another name, never deleted.
    The same seed, numbers and drawing give the same pictures.

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
    if drawing != FULL:
        about += f"{drawing}\n"
    folder = root / "VOCdevkit" / "VOC2007"
    if _is_complete(folder, about, lists):
        return folder
    log.info("%s: drawing %d pictures", printable(folder), train + val + test)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".drawing-") as temporary:
            tree = Path(temporary) / "VOCdevkit" / "VOC2007"
            _write_tree(tree, about, lists, seed, drawing)
            _set_aside(root / "VOCdevkit")
            (Path(temporary) / "VOCdevkit").rename(root / "VOCdevkit")
    except OSError as error:
        if _is_complete(folder, about, lists):  # another process was quicker
            return folder
        raise DatasetError(
            f"{printable(root)}: the demonstration data set cannot be written: {error.strerror}"
        ) from None
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
    except OSError:
        return False
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    wanted = {f"ImageSets/Main/{split}.txt" for split in lists}
    for stem in lists["trainval"] + lists["test"]:
        wanted |= {f"Annotations/{stem}.xml", f"JPEGImages/{stem}.jpg"}
    return wanted <= there


def _set_aside(folder: Path) -> None:
    if not folder.exists():
        return
    number = 1
    while (aside := folder.with_name(f"{folder.name}.old{number}")).exists():
        number += 1
    folder.rename(aside)
    what = "%s: incomplete or of other settings; kept as %s and drawn anew"
    log.warning(what, printable(folder), printable(aside.name))


def _write_tree(
    folder: Path, about: str, lists: dict[str, list[str]], seed: int, drawing: Drawing
) -> None:
    for part in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / part).mkdir(parents=True)
    for stem in lists["trainval"] + lists["test"]:
        image, objects = draw_picture(np.random.default_rng([seed, int(stem)]), drawing=drawing)
        _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
        (folder / "JPEGImages" / f"{stem}.jpg").write_bytes(data.tobytes())
        text = annotation_xml(f"{stem}.jpg", image.shape[:2], objects)
        (folder / "Annotations" / f"{stem}.xml").write_text(text, encoding="utf-8")
    for split, stems in lists.items():
        text = "".join(f"{stem}\n" for stem in stems)
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text(text, encoding="utf-8")
    (folder / "README.txt").write_text(about, encoding="utf-8")
