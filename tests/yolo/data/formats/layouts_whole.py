"""The drawn data set of `layouts` in those layouts that know of no splits."""

from pathlib import Path

from tests.yolo.data.formats.layouts import CLASSES, DRAWN, instances, text, yolo_lines
from tests.yolo.data.formats.layouts_voc import flat, xml


def yolo_flat(root: Path) -> None:
    for one in DRAWN:
        one.draw(root / one.name)
        text(root / f"{one.stem}.txt", yolo_lines(one))
    text(root / "classes.txt", "\ufeff" + "\r\n".join(CLASSES))


def yolo_label_studio(root: Path) -> None:
    for one in DRAWN:
        one.draw(root / "images" / one.name)
        text(root / "labels" / f"{one.stem}.txt", yolo_lines(one))
    text(root / "classes.txt", "\n".join(CLASSES))
    text(root / "notes.json", '{"categories": [{"id": 0, "name": "cat"}], "info": {}}')


def yolo_two_folders(root: Path) -> None:
    for one in DRAWN:
        one.draw(root / "street 7" / one.name)
        text(root / "labels_street_2026" / f"{one.stem}.txt", yolo_lines(one))
    text(root / "labels_street_2026" / "classes.txt", "\n".join(CLASSES))


def coco_label_studio(root: Path) -> None:
    for one in DRAWN:
        one.draw(root / "images" / one.name)
    text(root / "result.json", instances(DRAWN, before="images\\", first=0))


def coco_cvat_default(root: Path) -> None:
    for one in DRAWN:
        one.draw(root / "images" / "default" / one.name)
    text(root / "annotations" / "instances_default.json", instances(DRAWN))


def coco_fiftyone(root: Path) -> None:
    for one in DRAWN:
        one.draw(root / "data" / one.name)
    text(root / "labels.json", instances(DRAWN, first=0))


def coco_bare(root: Path) -> None:
    for one in DRAWN:
        one.draw(root / one.name)
    text(root / "labelled.json", instances(DRAWN))


def voc_beside(root: Path) -> None:
    flat(root, ".", ".")


def voc_default_list(root: Path) -> None:
    flat(root, "JPEGImages", "Annotations")
    text(root / "ImageSets" / "Main" / "default.txt", "".join(f"{one.stem}\n" for one in DRAWN))


def voc_subfolders(root: Path) -> None:
    for number, one in enumerate(DRAWN):
        one.draw(root / "JPEGImages" / f"cam{number % 2}" / one.name)
        text(root / "Annotations" / f"cam{number % 2}" / f"{one.stem}.xml", xml(one))


ALL = (
    yolo_flat, yolo_label_studio, yolo_two_folders, coco_label_studio, coco_cvat_default,
    coco_fiftyone, coco_bare, voc_beside, voc_default_list, voc_subfolders,
)  # fmt: skip
