"""Data sets in PASCAL VOC format: Annotations, JPEGImages and ImageSets/Main to samples."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from yolo.data.annotated import MarkedObject, check_objects
from yolo.data.findings import Findings, nearest, short_list, tell_left_out
from yolo.data.formats.voc_xml import VocAnnotation, read_annotation
from yolo.data.sample import Sample
from yolo.errors import DatasetError
from yolo.pictures.header import PICTURE_SUFFIXES, Header, read_header
from yolo.system.reading import inside, printable, read_lines_of, shortened

log = logging.getLogger("yolo")

TRAIN_SHARE, VAL_SHARE = 0.8, 0.1


def read_split(
    root: str | os.PathLike,
    split: str,
    *,
    classes: Sequence[str] | None = None,
    seed: int = 0,
    zero_based: bool | None = None,
    collect: list[Findings] | None = None,
    only_classes: bool = False,
) -> list[Sample]:
    """Read one split of a data set in PASCAL VOC format.

    Boxes in the files count pixels from 1 and name the last pixel inside; they come out as
    half-open boxes (x1 = xmin - 1, x2 = xmax). A data set in which any xmin or ymin is 0 counts
    from 0, and its boxes are taken as they are. What can be repaired is repaired in memory and
    logged; the files are never changed.

    Args:
        root: the folder that holds Annotations and JPEGImages (VOCdevkit/VOC2007), or one that
            holds exactly one such folder (VOCdevkit).
        split: "train", "val", "test" or another list of ImageSets/Main.
        classes: class names in the order of their ids; all that the annotations hold, sorted,
            if None.
        seed: decides the split where there is no ImageSets/Main.
        zero_based: whether the files count pixels from 0; found in the annotations if None.
        collect: takes what was found, repairs and faults; nothing is logged or raised for it.
        only_classes: leave out objects of other classes than `classes`, instead of refusing them.

    Returns:
        One sample a picture, in the list's order; a picture without objects has empty arrays.

    Raises:
        DatasetError: the folder or the split is missing, or files are faulty: the message
            names every faulty file and object, up to 20.
    """
    folder = _folder(root)
    lists = splits(folder, seed=seed)
    if split not in lists:
        raise DatasetError(
            f"{printable(folder)}: no split {split!r}; expected one of {short_list(lists)}"
        )
    if classes is None:
        classes = find_classes(folder)
        log.info("%s: classes found: %s", printable(folder), short_list(classes, limit=80))
    if zero_based is None:
        zero_based = _counts_from_zero(folder)
    findings = Findings(f"{printable(folder)}, split {split}")
    reader = _Reader(folder, tuple(classes), 0 if zero_based else 1, findings)
    samples = [sample for stem in lists[split] if (sample := reader.sample(stem)) is not None]
    if only_classes:
        counts = {name: len(places) for name, places in reader.unknown.items()}
        tell_left_out(findings.what, counts)
    else:
        reader.report_unknown()
    findings.finish(collect)
    if collect is None:
        _describe(samples, findings.what)
    return samples


class _Reader:
    """Turns stems into samples; what is wrong with a file or an object is noted.

    Args:
        folder: holds Annotations and JPEGImages.
        classes: class names in the order of their ids.
        first_pixel: what the annotations count pixels from, 0 or 1.
        findings: takes repairs and faults.
    """

    def __init__(
        self, folder: Path, classes: tuple[str, ...], first_pixel: int, findings: Findings
    ):
        self.folder, self.classes, self.first_pixel = folder, classes, first_pixel
        self.findings = findings
        self.annotations, self.pictures = _annotations(folder), _pictures(folder)
        self.ids = {name: i for i, name in enumerate(classes)}
        self.unknown: dict[str, list[str]] = {}

    def sample(self, stem: str) -> Sample | None:
        """Return a picture and its objects, None if either file is missing or damaged."""
        path, picture = self._pair(stem)
        if path is None or picture is None:
            return None
        try:
            annotation = read_annotation(path)
            header = read_header(picture)
        except DatasetError as error:
            self.findings.error(str(error))
            return None
        if header.frames > 1:
            self.findings.warn("pictures of several frames, the first taken", printable(picture))
        _check_size(annotation, header, path, self.findings)
        arrays = check_objects(
            self._marked(annotation, printable(path)),
            header.size,
            file=printable(path),
            findings=self.findings,
            first_pixel=self.first_pixel,
        )
        return Sample(picture, size=header.size, image_id=stem, **arrays)

    def report_unknown(self) -> None:
        """Note the classes that occurred and are not in the list, once each."""
        for name, places in self.unknown.items():
            self.findings.error(
                f"{places[0]}: class {shortened(name)} ({len(places)} objects in this split) is "
                f"not among {short_list(map(printable, self.classes))}"
                f"{nearest(name, self.classes)}: add it to the class list, correct the files, or "
                "leave such objects out with --only-classes"
            )

    def _marked(self, annotation: VocAnnotation, file: str) -> list[MarkedObject]:
        """Return the objects whose class and box can be used."""
        marked = []
        for number, item in enumerate(annotation.objects, 1):
            label = f"object {number} ({shortened(item.name)})"
            if item.fault or item.box is None:
                self.findings.error(f"{file}:{item.line}: {label}: {item.fault}: correct the file")
            elif item.name not in self.ids:
                self.unknown.setdefault(item.name, []).append(f"{file}:{item.line}: {label}")
            else:
                flags = (item.difficult, item.truncated)
                marked.append(MarkedObject(label, self.ids[item.name], item.box, *flags, item.line))
        return marked

    def _pair(self, stem: str) -> tuple[Path | None, Path | None]:
        """Return annotation and picture of a stem; what is missing is None and noted.

        Both are looked up among the names that the folders hold: a list can name nothing else,
        and <filename>, <folder> and <path> of the annotations are not looked at. A link that
        leads out of the data set is refused like a missing file.
        """
        folder, findings = self.folder, self.findings
        path, found = self.annotations.get(stem), self.pictures.get(stem, [])
        wanted = printable(folder / "Annotations" / f"{stem}.xml")
        if path is None:
            findings.error(f"{wanted}: no such annotation: add it or take the name off the list")
        if not found:
            findings.error(
                f"{wanted}: no picture {printable(stem)}.jpg (or another type) in "
                f"{printable(folder / 'JPEGImages')}: add it or take the name off the list"
            )
        elif len(found) > 1:
            names = short_list(printable(p.name) for p in found)
            findings.warn("several pictures for one annotation, the first taken", names)
        pair = [path, found[0] if found else None]
        for i, file in enumerate(pair):
            if file is not None and not inside(file, folder, file.parent):
                findings.error(
                    f"{printable(file)}: a link that leads out of the data set: put the file "
                    "itself there, or make the whole folder the link"
                )
                pair[i] = None
        return pair[0], pair[1]


def find_classes(root: str | os.PathLike) -> tuple[str, ...]:
    """List the classes that the annotations name, sorted.

    Files that cannot be parsed are passed over here; `read_split` reports them.

    Raises:
        DatasetError: no annotation names any object.
    """
    folder = _folder(root)
    names = {item.name for _, a in _readable(folder) for item in a.objects if item.name}
    if not names:
        raise DatasetError(
            f"{printable(folder / 'Annotations')}: no annotation names an object; expected VOC "
            "XML files with <object><name>"
        )
    return tuple(sorted(names))


def is_own_split(root: str | os.PathLike) -> bool:
    """Tell whether the data set brings its own split, in ImageSets/Main."""
    return any((_folder(root) / "ImageSets" / "Main").glob("*.txt"))


def splits(root: str | os.PathLike, *, seed: int = 0) -> dict[str, list[str]]:
    """Return the stems of each split.

    With ImageSets/Main these are its lists, except those of single classes (dog_train.txt beside
    train.txt). Otherwise the annotated stems are divided into train, val and test, about 80, 10
    and 10 in a hundred: a name's place follows from the seed and the name alone, so that adding
    a picture moves no other.

    Args:
        root: as for `read_split`.
        seed: decides the division.

    Returns:
        Split name to stems, in the lists' order or sorted.

    Raises:
        DatasetError: the folder is missing or a list cannot be read.
    """
    folder = _folder(root)
    stems = set(_annotations(folder))
    lists = sorted((folder / "ImageSets" / "Main").glob("*.txt"))
    names = {path.stem for path in lists}
    if not lists:
        return _divide(sorted(stems), seed)
    return {
        path.stem: _read_list(path, stems)
        for path in lists
        if path.stem.rpartition("_")[2] not in names - {path.stem}
    }


def _annotations(folder: Path) -> dict[str, Path]:
    """Return the annotation file of each stem, whatever the case of its suffix."""
    return {p.stem: p for p in (folder / "Annotations").iterdir() if p.suffix.lower() == ".xml"}


def _folder(root: str | os.PathLike) -> Path:
    root = Path(root)
    if (root / "Annotations").is_dir():
        if not (root / "JPEGImages").is_dir():
            raise DatasetError(
                f"{printable(root)}: has Annotations but no JPEGImages: put the pictures there"
            )
        return root
    if not root.is_dir():
        raise DatasetError(f"{printable(root)}: no such folder; expected one in VOC format")
    inner = sorted(p for p in root.iterdir() if (p / "Annotations").is_dir())
    if len(inner) == 1:
        return _folder(inner[0])
    found = (
        f"several: {short_list(printable(p.name) for p in inner)}: name one"
        if inner
        else ("none: expected Annotations/*.xml and JPEGImages/*.jpg")
    )
    raise DatasetError(f"{printable(root)}: of folders in VOC format it holds {found}")


def _read_list(path: Path, stems: set[str]) -> list[str]:
    lines = read_lines_of(path)
    found: dict[str, None] = {}
    for line in lines:
        stem = line.strip()
        if stem and stem not in stems:
            name, _, flag = stem.rpartition(" ")
            if flag in ("1", "-1", "0"):  # a list of one class marks where the class occurs
                stem = name.strip()
        if stem and stem not in stems and Path(stem).suffix.lower() in PICTURE_SUFFIXES:
            stem = stem[: stem.rindex(".")]
        if stem in found:
            log.warning(
                "%s: %s stands there twice; it is read once", printable(path), printable(stem)
            )
        elif stem:
            found[stem] = None
    return list(found)


def _divide(stems: Sequence[str], seed: int) -> dict[str, list[str]]:
    def place(stem: str) -> float:
        text = f"{seed}:{stem}".encode("utf-8", "surrogateescape")
        return int.from_bytes(hashlib.sha256(text).digest()[:8]) / 2**64

    lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for stem in stems:
        share = place(stem)
        part = "train" if share < TRAIN_SHARE else "val"
        lists["test" if share >= TRAIN_SHARE + VAL_SHARE else part].append(stem)
    for name in ("val", "test", "train"):  # of a handful of pictures, none may be left empty
        largest = max(lists.values(), key=len)
        if not lists[name] and len(largest) > 1:
            stem = max(largest, key=place)
            largest.remove(stem)
            lists[name].append(stem)
    return lists


def _pictures(folder: Path) -> dict[str, list[Path]]:
    """Index the pictures by stem, whatever the case of their extension."""
    found: dict[str, list[Path]] = {}
    for path in sorted((folder / "JPEGImages").iterdir()):
        if path.suffix.lower() in PICTURE_SUFFIXES:
            found.setdefault(path.stem, []).append(path)
    for paths in found.values():
        paths.sort(key=lambda p: PICTURE_SUFFIXES.index(p.suffix.lower()))
    return found


def _readable(folder: Path) -> Iterable[tuple[Path, VocAnnotation]]:
    for path in sorted((folder / "Annotations").iterdir()):
        if path.suffix.lower() == ".xml" and inside(path, folder, path.parent):
            try:
                yield path, read_annotation(path)
            except DatasetError:
                continue


def _counts_from_zero(folder: Path) -> bool:
    """Tell whether any box of the set starts at pixel 0, and say so."""
    first, count, total = None, 0, 0
    for path, annotation in _readable(folder):
        for item in annotation.objects:
            total += item.box is not None
            if item.box and any(0 <= n < 1 for n in item.box[:2]):
                first, count = first or path, count + 1
    if first is not None:
        log.info(
            "%s: pixels are counted from 0: %d of %d boxes start there, the first in %s "
            "(--first-pixel 1 if those are mistakes)",
            printable(folder), count, total, printable(first.name),
        )  # fmt: skip
    return count > 0


def _check_size(annotation: VocAnnotation, header: Header, path: Path, findings: Findings) -> None:
    """Compare <size> with the picture, which is right unless the boxes say otherwise."""
    height, width = header.size
    if annotation.size == (height, width):
        return
    found = "nothing" if annotation.size is None else "{1}x{0}".format(*annotation.size)
    line = "" if annotation.size_line is None else f":{annotation.size_line}"
    place = f"{printable(path)}{line}: {found} for {width}x{height}"
    boxes = [item.box for item in annotation.objects if item.box]
    if annotation.size == (width, height) and height != width and boxes:
        beyond = any(b[2] > width or b[3] > height for b in boxes)
        fit_turned = all(b[2] <= height and b[3] <= width for b in boxes)
        if header.orientation >= 5 or (beyond and fit_turned):
            findings.error(
                f"{place}: the boxes were drawn on the picture before its rotation: save the "
                "picture upright without an EXIF orientation, or mark it again"
            )
            return
    findings.warn("<size> is not the picture's, whose own is used", place)


def _describe(samples: Sequence[Sample], what: str) -> None:
    negatives = sum(len(sample.class_ids) == 0 for sample in samples)
    objects = sum(len(sample.class_ids) for sample in samples)
    difficult = sum(int(sample.difficult.sum()) for sample in samples)
    log.info(
        "%s: %d pictures (%d without objects), %d objects (%d difficult)",
        what,
        len(samples),
        negatives,
        objects,
        difficult,
    )
