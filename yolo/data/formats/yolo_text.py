"""YOLO's labels: a text file for each picture, an object a line; read, and written."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml

from yolo.boxes.detections import Detections
from yolo.data.annotated import Box, Fault, Labelled, MarkedObject, hull, number_of
from yolo.data.dataset import DataSet, Part
from yolo.data.findings import short_list
from yolo.data.formats import yolo_config
from yolo.data.formats.yolo_config import YoloConfig
from yolo.data.pairing import LABEL_FOLDERS, PICTURE_FOLDERS, grouped, pair
from yolo.data.sample import Named
from yolo.data.source import Source
from yolo.data.split_names import role_of
from yolo.errors import DatasetError
from yolo.system.reading import printable, read_lines_of, shortened
from yolo.system.terminal import counted
from yolo.system.writing import add_text

log = logging.getLogger("yolo")

HEADS_LOOKED_AT = 500
MAX_LABEL_BYTES = 1 << 24  # of one picture
_LINE = re.compile(rb"\s*\d+(?:\.0+)?(?:[ \t]+[-+.\deE]+){4,}\s*(?:[\r\n]|$)")


# ---------------------------------------------------------------------------------- to read


def recognise(source: Source) -> bool:
    """Tell whether a data set has YOLO's labels: a file that describes them, or label files."""
    if yolo_config.find_config(source) is not None:
        return True
    if source.file is not None or not (first := looks_like_labels(source)):
        return False
    listed = any("/" not in name for name in yolo_config.class_files(source))
    usual = all(_says_nothing(folder) for folder in first.split("/")[:-1])
    return listed or usual or _of_another_folder(source, first)


def _of_another_folder(source: Source, label: str) -> bool:
    """Tell whether the picture of a label file lies in another of the source's own folders."""
    found = pair([label], source.pictures.names)[label]
    return bool(found) and found[0].partition("/")[0] != label.partition("/")[0]


def looks_like_labels(source: Source) -> str:
    """Return the first text file whose first line is one of YOLO's labels, "" for none."""
    files = source.with_suffix(".txt")[:HEADS_LOOKED_AT]
    return next((name for name in files if _LINE.match(source.head(name, 512))), "")


def _says_nothing(folder: str) -> bool:
    """Tell whether a folder is called as one of labels or pictures, or as a split."""
    return folder.lower() in LABEL_FOLDERS | PICTURE_FOLDERS or role_of(folder) is not None


def open_source(source: Source) -> DataSet:
    """Open a data set with YOLO's labels, and parse them.

    The pictures are those that data.yaml or Darknet's obj.data names, or lists such as train.txt
    do; else all below the folder, in splits where folders are called so: images/train/ or
    train/images/. A label file belongs to its picture by their names, `pairing` says how. Of
    polygons and rotated boxes the smallest upright box around them is taken, and their number is
    said once.
    """
    config = yolo_config.read_config(source)
    if not len(source.pictures):
        raise DatasetError(
            f"{printable(source.root)}: YOLO labels, but no pictures: put them beside, or name "
            "their folder with --images DIR"
        )
    splits = _named(source, config) if config.splits else _by_folder(source)
    listed = {one: None for names in splits.values() for one in names if isinstance(one, str)}
    if rest := [name for name in source.pictures.names if name not in listed]:
        log.warning(
            "%s: %s outside of %s, passed over (%s)",
            printable(source.root), counted(len(rest), "picture"),
            short_list(map(printable, splits)), short_list(map(printable, rest), limit=3),
        )  # fmt: skip
    labels = _Labels(source, config)
    known = {name: labels(name) for name in listed}
    labels.tell()
    pictures = {
        split: [known[one] if isinstance(one, str) else one for one in names]
        for split, names in splits.items()
    }
    return YoloLabels(source, pictures, config)


class YoloLabels(DataSet):
    """YOLO's labels, opened; without class names their numbers are counted in those asked for."""

    def __init__(self, source: Source, pictures: Mapping, config: YoloConfig):
        root = source.file or source.root
        super().__init__(root, pictures, config.names or (), config.kind)
        self._numbered = config.names is None
        texts = len(source.with_suffix(".txt"))
        self._seen = f"{counted(len(source.pictures), 'picture')}, {texts} .txt"

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of their numbers.

        Raises:
            DatasetError: no file names the classes.
        """
        if self._numbered:
            beside = (self.root.absolute().parent / name for name in yolo_config.DESCRIPTIONS)
            above = next((path for path in beside if path.is_file()), None)
            raise DatasetError(
                f"{printable(self.root)}: {self._seen} whose lines look like YOLO labels, but no "
                "class names (data.yaml, classes.txt, obj.names): "
                + (f"{above.name} lies one folder up, name that; or " if above else "")
                + "give --classes FILE, one name a line"
            )
        return super().classes

    def _ids(self, part: Part, classes: tuple[str, ...]) -> dict[str, int]:
        if self._numbered:
            return {str(number): number for number in range(len(classes))}
        return super()._ids(part, classes)


class _Labels:
    """The label files of a data set; calling it with a picture parses the one that belongs to it.

    What was taken for something else, and what is not read, is said once by `tell`.
    """

    def __init__(self, source: Source, config: YoloConfig):
        self._source, self._config, self._polygons = source, config, 0
        files = filter(yolo_config.may_be_labels, source.with_suffix(".txt"))
        found = pair(list(files), source.pictures.names)
        self._files = {names[0]: file for file, names in reversed(found.items()) if names}
        alone = [file for file, names in found.items() if not names]
        self._alone = [name for name in alone if _LINE.match(source.head(name, 512))]

    def tell(self) -> None:
        shown = printable(self._source.root)
        if self._polygons:
            log.info("%s: %d polygons and rotated boxes are taken as the upright boxes around them",
                     shown, self._polygons)  # fmt: skip
        if self._alone:
            log.warning(
                "%s: %d label files without a picture, passed over (%s)",
                shown, len(self._alone), short_list(map(printable, self._alone), limit=3),
            )  # fmt: skip

    def __call__(self, name: str) -> Labelled:
        pictures, file = self._source.pictures, self._files.get(name)
        path, image_id = pictures.path(name), pictures.id_of(name)
        fault = pictures.source.leads_out(name)
        if file is None:
            return Labelled(path, image_id, printable(path), faults=(fault,), unlabelled=True)
        label, objects = self._source.text_path(file), []
        fault = fault or self._source.leads_out(file)
        if not fault:
            try:
                lines = enumerate(read_lines_of(label, max_bytes=MAX_LABEL_BYTES), 1)
                objects = [self._object(n, line) for n, line in lines if line.strip()]
            except DatasetError as error:
                fault = str(error)
        return Labelled(path, image_id, printable(label), objects, faults=(fault,), shares=True)

    def _object(self, number: int, line: str) -> MarkedObject:
        """Return the object of a line, or what is wrong with it."""
        fields, names = line.split(), self._config.names
        try:
            try:
                class_id, *values = map(number_of, fields)
            except ValueError:
                shown = shortened(" ".join(fields))
                raise Fault(f"{shown}; expected a class number and shares of the picture") from None
            if not class_id.is_integer() or class_id < 0:
                raise Fault(f"class {shortened(fields[0])}; expected a number from 0 on")
            if names and class_id >= len(names):
                expected = f"0 to {len(names) - 1}, the names in {self._config.names_file}"
                raise Fault(f"class {class_id:g}; expected {expected}")
            box = self._box(values)
        except Fault as fault:
            return MarkedObject("object", "", None, line=number, fault=f"{fault}: correct the line")
        name = names[int(class_id)] if names else str(int(class_id))
        return MarkedObject("object", name, box, line=number)

    def _box(self, values: list[float]) -> Box:
        """Return the corners of a box, or of that around a polygon, as shares."""
        if values and (min(values) < -1 or max(values) > 2):
            raise Fault(f"{max(values, key=abs):g} is no share of the picture, 0 to 1")
        if len(values) in (4, 4 + self._config.keypoints):
            x, y, width, height = values[:4]
            return x - width / 2, y - height / 2, x + width / 2, y + height / 2
        if len(values) < 6 or len(values) % 2:
            raise Fault(
                f"{len(values)} numbers after the class; expected 4 (centre x, y, width, height), "
                "or the corners of a polygon"
            )
        self._polygons += 1
        return hull(values[::2], values[1::2])


def _named(source: Source, config: YoloConfig) -> dict[str, list]:
    """Return the pictures that folders and lists name for each split."""
    found: dict[str, list] = {}
    for split, places in config.splits.items():
        found[split] = []
        for place in places:
            if place.lower().endswith(".txt"):
                found[split] += _listed(source, place)
            else:
                start = f"{place}/" if place else ""
                found[split] += [n for n in source.pictures.names if n.startswith(start)]
    return found


def _listed(source: Source, name: str) -> Iterable[str | Labelled]:
    """Return the pictures of a list, and for each line that names none what is wrong with it."""
    path, folder, seen = source.own_path(name), name.rpartition("/")[0], set()
    for number, line in enumerate(read_lines_of(path), 1):
        text = line.strip().replace("\\", "/")
        if not text:
            continue
        while text.startswith("../"):
            text = text[3:]
        picture = source.pictures.find(text, dict.fromkeys((folder, "")))
        if picture is None:
            place = f"{printable(path)}:{number}"
            fault = f"{place}: {source.pictures.missing(text)}: correct the line"
            yield Labelled(None, text, place, faults=(fault,))
        elif picture not in seen:
            seen.add(picture)
            yield picture


def _by_folder(source: Source) -> dict[str, list]:
    """Return the pictures in splits, where folders are called so; else all of them as one."""
    found = grouped(
        source.pictures.names, lambda name: next(filter(role_of, name.split("/")[:-1]), "")
    )
    if len(found) > 1:
        found.pop("", None)
    return found


# --------------------------------------------------------------------------------- to write


def write_labels(folder: Path, splits: Named, classes: Sequence[str]) -> dict[str, int]:
    """Write label files and data.yaml; see `convert.Writer`."""
    regions, marks = "regions of many, left out", "marks of truncation"
    lost = dict.fromkeys((regions, "difficult objects, written as others", marks), 0)
    for split, samples in splits.items():
        for name, whole in samples:
            one = whole.select(~whole.crowd)
            found = Detections(one.boxes_xyxy, np.ones(len(one.class_ids)), one.class_ids)
            label = folder / "labels" / split / f"{name.rpartition('.')[0]}.txt"
            add_text(label, found.to_yolo_text(one.size, digits=9))
            for what, flags in zip(lost, (whole.crowd, one.difficult, one.truncated), strict=True):
                lost[what] += int(flags.sum())
    add_text(folder / "data.yaml", data_yaml({n: f"images/{n}" for n in splits}, classes))
    return lost


def data_yaml(splits: Mapping[str, str], classes: Sequence[str]) -> str:
    """Return the text of a data.yaml: the folder of each split, and the class names.

    Ultralytics looks for "val", whatever the folder is called.
    """
    roles = [role_of(name) for name in splits]
    keys = (role if roles.count(role) == 1 else None for role in roles)
    values: dict[str, object] = {
        key or name: folder for key, (name, folder) in zip(keys, splits.items(), strict=True)
    }
    values["names"] = dict(enumerate(classes))
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
