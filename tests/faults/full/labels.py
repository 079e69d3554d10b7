"""What is damaged of labels in text: YOLO's label files, data.yaml, lists, tables.

The makers are those of `targets`: of a folder, a function (rng, number) -> (reader, name).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.faults.full.mutants import mutate, write
from tests.faults.full.pictures import variants

WORDS = (
    "0", "-1", "1e9", "nan", "-inf", "", "1_0", "9" * 400, "½", "1,5", "\x00", "\ufeff", "名", "..",
    "../../../etc/passwd", "/", "\\", "images/a.jpg", "[" * 2000, "{" * 2000, "- " * 500, "&a [*a]",
    "*a", "!!python/object/apply:os.getcwd []", "? ", ": ", "<<: *a", "%YAML 9", "\n", "\t", "'",
)  # fmt: skip
ENCODINGS = ("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "gb18030")


def _maker(good: str, file: str, others: dict[str, str]) -> Callable:
    """Return the maker of mutants of one file of a data set, which is opened and read."""

    def make(folder: Path) -> Callable:
        from yolo.data.folder import open_folder

        root = folder / file.replace("/", "-")
        for name, content in others.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content, encoding="utf-8")
        (root / "images").mkdir(parents=True, exist_ok=True)
        (root / "images" / "a.jpg").write_bytes(variants()["jpeg 420"])
        path = root / file
        path.parent.mkdir(exist_ok=True)

        def one(rng: np.random.Generator, number: int):
            text = good
            for _ in range(int(rng.integers(1, 4)) if number % 2 else 0):
                spots = [found.span() for found in re.finditer(r"[^\s,\[\]:=]+", text)]
                start, end = spots[int(rng.integers(len(spots)))] if spots else (0, 0)
                text = text[:start] + str(rng.choice(WORDS)) + text[end:]
            data = text.encode(str(rng.choice(ENCODINGS)))
            write(path, data if number % 4 == 1 else mutate(data, rng, head=60), number)

            def read():
                opened = open_folder(root)
                for split in opened.names:
                    opened.read(split, classes=["dog", "cat"])

            return read, root.name

        return one

    return make


_YAML = "path: .\ntrain: images\nval: [images, list.txt]\nnc: 2\nnames:\n  0: dog\n  1: cat\n"
_LABEL = "0 0.5 0.5 0.25 0.5\n1 0.25 0.25 0.75 0.25 0.5 0.75\n1 .5 .5 1 1\n"
_LIST = "./images/a.jpg\nimages/a.jpg\n"
_DARKNET = "classes= 2\ntrain = data/list.txt\nvalid=list.txt\nnames = classes.txt\nbackup = b/\n"
_AROUND = {"labels/a.txt": _LABEL, "list.txt": _LIST, "classes.txt": "dog\ncat\n"}

yolo_yaml = _maker(_YAML, "data.yaml", _AROUND)
yolo_label = _maker(_LABEL, "labels/a.txt", _AROUND | {"data.yaml": _YAML})
yolo_list = _maker(_LIST, "list.txt", _AROUND | {"data.yaml": _YAML})
yolo_names = _maker("dog\ncat\n", "classes.txt", _AROUND)
darknet_data = _maker(_DARKNET, "obj.data", _AROUND)
retinanet_csv = _maker("images/a.jpg,1,2,30,40,dog\nimages/a.jpg,3,4,20,20,cat\n", "train.csv", {})
header_csv = _maker(
    "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,61,47,dog,1,2,30,40\n"
    "a.jpg,61,47,cat,5,5,9.5,20\n", "train_labels.csv", {},
)  # fmt: skip
open_images_csv = _maker(
    "ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf\na,/m/1,0,0.5,0,0.5,0\na,/m/2,0,1,0,1,1\n",
    "train-annotations-bbox.csv", {"class-descriptions-boxable.csv": "/m/1,dog\n/m/2,cat\n"},
)  # fmt: skip
cvat_xml = _maker(
    "<annotations>\n<meta><task><labels><label><name>dog</name></label></labels></task></meta>\n"
    '<image id="0" name="a.jpg" subset="train" width="61" height="47">\n'
    '<box label="dog" xtl="1.5" ytl="2" xbr="30" ybr="40" rotation="5"/>\n'
    '<polygon label="cat" points="1,2;30,4;5,40"/>\n</image>\n</annotations>\n',
    "annotations.xml", {},
)  # fmt: skip
tutorial_list = _maker(
    "images/a.jpg 1,2,30,40,0 3,4,20,20,1\nD:\\pics\\a.jpg 1, 2, 30, 40, 0\nimages/a.jpg\n",
    "2007_train.txt", {"classes.txt": "dog\ncat\n"},
)  # fmt: skip
ALL = (
    cvat_xml,
    tutorial_list,
    retinanet_csv,
    header_csv,
    open_images_csv,
    yolo_yaml,
    yolo_label,
    yolo_list,
    yolo_names,
    darknet_data,
)
