"""One drawn data set, written as labelling tools write it: a function for each layout."""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import yaml

CLASSES = ("cat", "dog", "no")  # the last a word that YAML takes for something else
SIZE = (60, 80)  # height, width


class Drawn(NamedTuple):
    """A picture: its split, its name, and its objects as (class, box)."""

    split: str
    name: str
    objects: tuple

    @property
    def stem(self):
        return self.name.rpartition(".")[0]

    def draw(self, path):
        """Draw the picture into a file."""
        image = np.full((*SIZE, 3), 90, np.uint8)
        for name, (x1, y1, x2, y2) in self.objects:
            image[y1:y2, x1:x2] = (40 * CLASSES.index(name), 200, 60)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())


DRAWN = (
    Drawn("train", "a.jpg", (("cat", (4, 6, 30, 40)), ("no", (0, 0, 16, 12)))),
    Drawn("train", "b 1.png", ()),
    Drawn("train", "ü.jpg", (("dog", (11, 9, 80, 60)), ("dog", (3, 3, 33, 43)))),
    Drawn("val", "c.jpg", (("dog", (1, 2, 3, 59)), ("cat", (40, 20, 66, 33)))),
    Drawn("test", "d.jpg", (("no", (20, 20, 60, 50)), ("cat", (8, 8, 24, 24)))),
)


def text(path, content):
    """Write a text file, its folder with it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def yolo_lines(one, *, form="box"):
    """Return the label file of a picture: boxes, or the same as polygons."""
    lines = []
    for name, (x1, y1, x2, y2) in one.objects:
        x1, x2, y1, y2 = x1 / SIZE[1], x2 / SIZE[1], y1 / SIZE[0], y2 / SIZE[0]
        if form == "box":
            numbers = ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)
        else:
            numbers = (x1, (y1 + y2) / 2, (x1 + x2) / 2, y1, x2, (y1 + y2) / 2, (x1 + x2) / 2, y2)
        lines.append(f"{CLASSES.index(name)} " + " ".join(f"{n:.9f}" for n in numbers) + "\n")
    return "".join(lines)


def yolo_ultralytics(root: Path) -> None:
    for one in DRAWN:
        one.draw(root / "images" / one.split / one.name)
        text(root / "labels" / one.split / f"{one.stem}.txt", yolo_lines(one))
    values = {"path": "../datasets/mine", "train": "images/train", "val": "images/val"}
    values |= {"test": ["images/test"], "names": dict(enumerate(CLASSES))}
    text(root / "mine.yaml", yaml.safe_dump(values))


def yolo_roboflow(root: Path) -> None:
    folders = {"val": "valid"}
    for one in DRAWN:
        folder = root / folders.get(one.split, one.split)
        one.draw(folder / "images" / one.name)
        text(folder / "labels" / f"{one.stem}.txt", yolo_lines(one, form="polygon"))
    places = {"train": "../train/images", "val": "../valid/images", "test": "../test/images"}
    values = {**places, "nc": len(CLASSES), "names": list(CLASSES), "roboflow": {"version": 1}}
    text(root / "data.yaml", yaml.safe_dump(values))
    text(root / "README.dataset.txt", "# mine > 2024\nhttps://example.org\n")


def yolo_folders(root: Path) -> None:
    for one in DRAWN:
        one.draw(root / "images" / one.split / one.name)
        text(root / "labels" / one.split / f"{one.stem}.txt", yolo_lines(one))
    text(root / "classes.txt", "".join(f"{name}\n" for name in CLASSES))


def yolo_beside(root: Path) -> None:
    for one in DRAWN:
        one.draw(root / one.split / one.name)
        text(root / one.split / f"{one.stem}.txt", yolo_lines(one))
        text(root / one.split / "_darknet.labels", "\n".join(CLASSES))


def yolo_lists(root: Path) -> None:
    for one in DRAWN:
        one.draw(root / "images" / one.name)
        text(root / "labels" / f"{one.stem}.txt", yolo_lines(one))
    text(root / "labels" / "classes.txt", "\n".join(CLASSES))
    for split in ("train", "val", "test"):
        names = [f"./images/{one.name}\n" for one in DRAWN if one.split == split]
        text(root / f"{split}.txt", "".join(names))


def yolo_darknet(root: Path) -> None:
    for one in DRAWN:
        one.draw(root / "obj_train_data" / one.name)
        text(root / "obj_train_data" / f"{one.stem}.txt", yolo_lines(one))
    text(root / "obj.names", "\n".join(CLASSES) + "\n")
    lists = {"train": "train.txt", "valid": "val.txt", "test": "test.txt"}
    lines = [f"{key} = data/{name}\n" for key, name in lists.items()]
    text(root / "obj.data", "classes = 3\n" + "".join(lines) + "names = data/obj.names\nbackup = b")
    for name in lists.values():
        listed = [
            f"data/obj_train_data/{one.name}\n" for one in DRAWN if f"{one.split}.txt" == name
        ]
        text(root / name, "".join(listed))


ALL = (
    yolo_ultralytics, yolo_roboflow, yolo_folders, yolo_beside, yolo_lists, yolo_darknet
)  # fmt: skip
