"""One drawn data set, written as labelling tools write it: a function for each layout."""

import json
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


def instances(drawn, *, before="", first=1, group=False):
    """Return an instances file of pictures; ids of categories count from `first`."""
    images, marks = [], []
    for n, one in enumerate(drawn):
        images.append({"id": n, "file_name": before + one.name, "height": 60, "width": 80})
        for name, (x1, y1, x2, y2) in one.objects:
            marks.append({
                "id": len(marks) + 1, "image_id": n, "category_id": CLASSES.index(name) + first,
                "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0,
            })  # fmt: skip
    above = "things" if group else ""
    categories = [
        {"id": n, "name": name, "supercategory": above} for n, name in enumerate(CLASSES, first)
    ]
    if group:
        categories.insert(0, {"id": 0, "name": "things", "supercategory": "none"})
    return json.dumps({
        "info": {"description": "drawn"}, "licenses": [], "categories": categories,
        "images": images, "annotations": marks,
    })  # fmt: skip


def by_split():
    """Return the pictures of each split."""
    return {split: [d for d in DRAWN if d.split == split] for split in ("train", "val", "test")}


def coco_own(root: Path) -> None:
    for split, drawn in by_split().items():
        text(root / "annotations" / f"instances_{split}2017.json", instances(drawn))
        text(root / "annotations" / f"captions_{split}2017.json", '{"annotations": []}')
        for one in drawn:
            one.draw(root / f"{split}2017" / one.name)


def coco_roboflow(root: Path) -> None:
    for split, drawn in by_split().items():
        folder = root / {"val": "valid"}.get(split, split)
        text(folder / "_annotations.coco.json", instances(drawn, group=True))
        for one in drawn:
            one.draw(folder / one.name)


def coco_cvat(root: Path) -> None:
    for split, drawn in by_split().items():
        text(root / "annotations" / f"instances_{split}.json", instances(drawn))
        for one in drawn:
            one.draw(root / "images" / split / one.name)


def coco_fiftyone(root: Path) -> None:
    for split, drawn in by_split().items():
        text(root / split / "labels.json", instances(drawn, first=0))
        for one in drawn:
            one.draw(root / split / "data" / one.name)


def coco_files(root: Path) -> None:
    for split, drawn in by_split().items():
        text(root / f"my_{split}.json", instances(drawn, before="D:\\work\\pics\\"))
        for one in drawn:
            one.draw(root / "pics" / one.name)


def table(path, rows):
    """Write a table."""
    text(path, "".join(",".join(map(str, row)) + "\n" for row in rows))


def csv_retinanet(root: Path) -> None:
    for split, drawn in by_split().items():
        rows = []
        for one in drawn:
            one.draw(root / "pics" / one.name)
            picture = f"pics/{one.name}"
            rows += [(picture, *box, name) for name, box in one.objects]
            rows += [] if one.objects else [(picture, "", "", "", "", "")]
        table(root / f"{split}.csv", rows)
    table(root / "classes.csv", [(name, n) for n, name in enumerate(CLASSES)])


def csv_tensorflow(root: Path) -> None:
    header = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")
    for split, drawn in by_split().items():
        rows = [(one.name, 80, 60, name, *box) for one in drawn for name, box in one.objects]
        rows += [(one.name, 80, 60, "", "", "", "", "") for one in drawn if not one.objects]
        table(root / "data" / f"{split}_labels.csv", [header, *rows])
        for one in drawn:
            one.draw(root / "images" / split / one.name)


def open_images_table(path, drawn):
    """Write a table of Open Images; one of its pictures is not there."""
    header = ("ImageID", "Source", "LabelName", "Confidence", "XMin", "XMax", "YMin", "YMax",
              "IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside")  # fmt: skip
    rows = [("0123456789abcdef", "x", "/m/cat", 1, 0, 1, 0, 1, 0, 0, 0, 0, 0)]
    for one in drawn:
        for name, (x1, y1, x2, y2) in one.objects:
            box = (x1 / 80, x2 / 80, y1 / 60, y2 / 60)
            rows.append((one.stem, "x", f"/m/{name}", 1, *box, 0, 0, 0, 0, 0))
    table(path, [header, *rows])


def csv_open_images(root: Path) -> None:
    for split, drawn in by_split().items():
        folder = {"val": "validation"}.get(split, split)
        open_images_table(root / f"{folder}-annotations-bbox.csv", drawn)
        for one in drawn:
            one.draw(root / folder / one.name)
    table(root / "class-descriptions-boxable.csv", [(f"/m/{name}", name) for name in CLASSES])


def csv_open_images_fiftyone(root: Path) -> None:
    for split, drawn in by_split().items():
        folder = root / {"val": "validation"}.get(split, split)
        open_images_table(folder / "labels" / "detections.csv", drawn)
        table(folder / "metadata" / "classes.csv", [(f"/m/{name}", name) for name in CLASSES])
        for one in drawn:
            one.draw(folder / "data" / one.name)


def cvat_xml(drawn, *, subsets=True):
    """Return the XML of pictures, an object as a box and the next as a polygon."""
    labels = "".join(f"<label><name>{name}</name></label>" for name in CLASSES)
    lines = [f"<annotations><meta><task><labels>{labels}</labels></task></meta>\n"]
    for n, one in enumerate(drawn):
        subset = f' subset="{one.split}"' * subsets
        lines.append(f'<image id="{n}" name="{one.name}"{subset} width="80" height="60">')
        for name, (x1, y1, x2, y2) in one.objects:
            lines.append(
                f'<box label="{name}" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}" occluded="0"/>'
                if n % 2
                else f'<polygon label="{name}" points="{x1},{y1};{x2},{y1};{x2},{y2};{x1},{y2}"/>'
            )
        lines.append("</image>\n")
    return "".join([*lines, "</annotations>"])


def cvat_images(root: Path) -> None:
    for one in DRAWN:
        one.draw(root / "images" / one.split / one.name)
    text(root / "annotations.xml", cvat_xml(DRAWN))


def cvat_tasks(root: Path) -> None:
    for split, drawn in by_split().items():
        text(root / split / "annotations.xml", cvat_xml(drawn, subsets=False))
        for one in drawn:
            one.draw(root / split / "images" / one.name)


def lines_of(drawn, before=""):
    """Return lines of the tutorial's lists."""
    boxes = {one: [(*box, CLASSES.index(name)) for name, box in one.objects] for one in drawn}
    lines = (
        " ".join([before + one.name, *(",".join(map(str, box)) for box in boxes[one])])
        for one in drawn
    )
    return "".join(f"{line}\n" for line in lines)


def lists_tutorial(root: Path) -> None:
    for split, drawn in by_split().items():
        text(root / f"2007_{split}.txt", lines_of(drawn, "/data/VOC2007/JPEGImages/"))
        for one in drawn:
            one.draw(root / "VOC2007" / "JPEGImages" / one.name)
    text(root / "model_data" / "voc_classes.txt", "\n".join(CLASSES))


def lists_roboflow(root: Path) -> None:
    for split, drawn in by_split().items():
        folder = root / {"val": "valid"}.get(split, split)
        text(folder / "_annotations.txt", lines_of(drawn))
        text(folder / "_classes.txt", "\n".join(CLASSES))
        for one in drawn:
            one.draw(folder / one.name)


ALL = (
    yolo_ultralytics, yolo_roboflow, yolo_folders, yolo_beside, yolo_lists, yolo_darknet,
    coco_own, coco_roboflow, coco_cvat, coco_fiftyone, coco_files,
    csv_retinanet, csv_tensorflow, csv_open_images, csv_open_images_fiftyone,
    cvat_images, cvat_tasks,
    lists_tutorial, lists_roboflow,
)  # fmt: skip
