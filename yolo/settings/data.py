"""What a run learns from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from yolo.models.option import option
from yolo.pictures.header import LARGEST_MEGAPIXELS, MAX_MEGAPIXELS

# The names of `yolo.data.recognition.FORMATS`, which --help lists without loading it.
DATA_FORMATS = ("voc", "coco", "yolo", "csv", "cvat", "lists", "shards")

_option = partial(option, group="data")


@dataclass(frozen=True)
class DataSettings:
    """Where the pictures and their labels are, and what is expected of them."""

    data: str | None = _option(
        None,
        "labelled pictures as a tool left them: a folder, a .zip or .tar, or a .json, .yaml, .csv "
        "or list; without it VOCdevkit/ in the current folder, else a data set that the program "
        "draws",
        metavar="PATH",
    )
    format: str | None = _option(
        None, "take the data as of this format", choices=DATA_FORMATS, default_text="found out"
    )
    images: str | None = _option(
        None,
        "folder of the pictures, where --data does not hold them",
        metavar="DIR",
    )
    unlabelled: str = _option(
        "leave-out",
        "what becomes of pictures without a label file",
        choices=("background", "leave-out"),
    )
    classes: str | None = _option(
        None,
        "file with one class name a line; without it the names are found in the annotations",
        metavar="FILE",
    )
    only_classes: bool = _option(
        False, "leave out objects of classes that --classes does not list, instead of refusing them"
    )
    train_split: str = _option(
        "train", "name of the list in ImageSets/Main to train on", metavar="NAME"
    )
    val_split: str = _option("val", "list to measure on while training", metavar="NAME")
    train_list: str | None = _option(
        None,
        "tutorial format, instead of --data: a file of lines 'picture x1,y1,x2,y2,class ...'",
        metavar="FILE",
    )
    val_list: str | None = _option(None, "the same for the pictures to measure on", metavar="FILE")
    strict: bool = _option(False, "let nothing pass that the check of the data repairs or warns of")
    list_root: str | None = _option(
        None,
        "folder that the pictures of these lists lie in or below",
        metavar="DIR",
        default_text="each list's own folder",
    )
    first_pixel: str = _option(
        "auto",
        "number of the first pixel in VOC annotations; auto: 0 if any box starts there, else 1",
        choices=("auto", "0", "1"),
    )
    background: str = _option(
        "255,255,255", "R,G,B behind transparent pictures, which the model keeps", metavar="COLOUR"
    )
    difficult: str = _option(
        "ignore",
        "objects that are marked as difficult: neither object nor background, as where they are "
        "scored, or learned like all others; crowds of COCO are never learned",
        choices=("ignore", "learn"),
    )
    max_megapixels: float = _option(
        MAX_MEGAPIXELS,
        "refuse larger pictures, in millions of pixels, before decoding",
        within=(0.001, LARGEST_MEGAPIXELS),
    )
