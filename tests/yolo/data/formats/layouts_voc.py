"""The drawn data set of `layouts` as tools write VOC's XML: a function for each layout."""

from pathlib import Path

from tests.yolo.data.formats.layouts import DRAWN, SIZE, text
from yolo.data.formats.voc import LabelledObject, annotation_xml


def xml(one):
    """Return the annotation of a picture."""
    return annotation_xml(one.name, SIZE, [LabelledObject(*parts) for parts in one.objects])


def lists(folder: Path, write_name, names=("train", "val", "test")) -> None:
    """Write a list for each split, of what `write_name` makes of each picture."""
    for split, name in zip(("train", "val", "test"), names, strict=True):
        lines = [f"{write_name(one)}\n" for one in DRAWN if one.split == split]
        text(folder / f"{name}.txt", "".join(lines))


def flat(root: Path, pictures: str, annotations: str) -> None:
    """Write pictures into one folder and annotations into another."""
    for one in DRAWN:
        one.draw(root / pictures / one.name)
        text(root / annotations / f"{one.stem}.xml", xml(one))


def voc_devkit(root: Path) -> None:
    flat(root / "VOC2007", "JPEGImages", "Annotations")
    lists(root / "VOC2007" / "ImageSets" / "Main", lambda one: one.stem)
    lists(root / "VOC2007" / "ImageSets" / "Main", lambda one: f"{one.stem} -1",
          ("dog_train", "dog_val", "dog_test"))  # fmt: skip
    text(root / "README.md", "mine")


def voc_other_case(root: Path) -> None:
    flat(root, "jpegimages", "ANNOTATIONS")
    lists(root / "imagesets" / "main", lambda one: f"{one.stem.upper()}.JPG",
          ("Train", "Validation", "Testing"))  # fmt: skip


def voc_images_annots(root: Path) -> None:
    flat(root, "images", "annots")
    lists(root, lambda one: f"images/{one.name}", ("train", "dev", "test"))


def voc_xmls_in_annotations(root: Path) -> None:
    flat(root, "images", "annotations/xmls")
    text(root / "annotations" / "trainval.txt", "a 1 1 1\n")  # another program's
    lists(root, lambda one: f"D:\\data\\images\\{one.name}")


def voc_labels(root: Path) -> None:
    for one in DRAWN:
        one.draw(root / "images" / one.split / one.name)
        text(root / "labels" / one.split / f"{one.stem}.xml", xml(one))


def voc_beside(root: Path) -> None:
    folders = {"val": "valid"}
    for one in DRAWN:
        folder = root / folders.get(one.split, one.split)
        one.draw(folder / one.name)
        text(folder / f"{one.stem}.xml", xml(one))
    text(root / "README.roboflow.txt", "mine")


def voc_vott(root: Path) -> None:
    flat(root, "JPEGImages", "Annotations")
    for name in ("cat", "dog"):
        for split in ("train", "val", "test"):
            flags = {
                one.name: 1 if name in dict(one.objects) else -1
                for one in DRAWN
                if one.split == split
            }
            lines = "".join(f"{picture} {flag}\n" for picture, flag in flags.items())
            text(root / "ImageSets" / "Main" / f"{name}_{split}.txt", lines)


ALL = (
    voc_devkit, voc_other_case, voc_images_annots, voc_xmls_in_annotations, voc_labels,
    voc_beside, voc_vott,
)  # fmt: skip
