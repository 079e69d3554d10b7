"""The data sets: what each arm learns from, and what it is scored on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from yolo.data import demo
from yolo.data.demo_pictures import IMBALANCED
from yolo.data.folder import open_folder
from yolo.data.sample import Sample

SHAPES_FOLDER = Path("datasets/imbalanced")
SPLIT_SEED = 0  # of data sets without lists of their own; the same for every arm and seed


@dataclass(frozen=True)
class Data:
    """The pictures of a data set.

    Args:
        classes: names in the order of their ids.
        train: to learn from.
        test: to be scored on.
    """

    classes: tuple[str, ...]
    train: list[Sample]
    test: list[Sample]


def open_set(name: str, folder: str | None) -> Data:
    """Read a data set; the shapes are drawn if they are not there yet.

    Raccoon has no lists and few pictures, so both of the drawn lists that are not learned from
    are scored on.

    Args:
        name: "shapes", "bccd" or "raccoon".
        folder: where it lies, in VOC format; for the shapes None is `SHAPES_FOLDER`.

    Raises:
        DatasetError: it cannot be read.
    """
    test = ("test",)
    if name == "shapes":
        folder = demo.write_shapes(
            folder or SHAPES_FOLDER, train=400, val=4, test=100, drawing=IMBALANCED
        )
    elif name == "raccoon":
        test = ("val", "test")
    opened = open_folder(folder)

    def read(split):
        return opened.read(split, seed=SPLIT_SEED)

    return Data(opened.classes, read("train"), [one for split in test for one in read(split)])
