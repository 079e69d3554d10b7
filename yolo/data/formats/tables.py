"""Labels in tables: the CSV files of keras-retinanet, of TensorFlow's tutorials and Open Images."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from yolo.data.annotated import Labelled, MarkedObject, number_of
from yolo.data.dataset import DataSet
from yolo.data.findings import short_list
from yolo.data.pairing import stem_and_suffix
from yolo.data.source import Source
from yolo.data.split_names import role_of
from yolo.data.unnamed import add_unnamed
from yolo.errors import DatasetError
from yolo.pictures.header import PICTURE_SUFFIXES
from yolo.system.reading import open_regular, printable, shortened

log = logging.getLogger("yolo")

MAX_BYTES = 1 << 32  # Open Images has tables of gigabytes
MAX_LINE = 1 << 20

# What the columns of a table with a header are called, in small letters without "_" and blanks.
_COLUMNS = {
    "picture": (
        "filename",
        "file",
        "path",
        "image",
        "imagepath",
        "imagename",
        "img",
        "imgname",
        "imgpath",
        "filepath",
        "imageid",
    ),
    "name": ("class", "label", "classname", "labelname", "category", "name"),
    "x1": ("xmin", "x1", "left"),
    "y1": ("ymin", "y1", "top"),
    "x2": ("xmax", "x2", "right"),
    "y2": ("ymax", "y2", "bottom"),
    "group": ("isgroupof",),
    "truncated": ("istruncated", "truncated"),
    "difficult": ("difficult",),
    "width": ("width",),
    "height": ("height",),
}
_NEEDED = ("picture", "name", "x1", "y1", "x2", "y2")
_RETINANET = _NEEDED[:1] + _NEEDED[2:] + _NEEDED[1:2]  # path,x1,y1,x2,y2,class
# FiftyOne has them in metadata/.
_DESCRIPTIONS = re.compile(
    r"class[-_]descriptions[^/]*\.csv$|metadata/classes\.csv$", re.IGNORECASE
)


class _Table(NamedTuple):
    """How a table is laid out.

    Args:
        columns: where each of `_COLUMNS` stands.
        header: whether the first line names them.
        delimiter: between them.
        shares: whether boxes are shares of the picture, as in Open Images.
    """

    columns: Mapping[str, int]
    header: bool
    delimiter: str
    shares: bool


# ---------------------------------------------------------------------------------- to read


def recognise(source: Source) -> bool:
    """Tell whether a data set is described by tables, by the first lines of its CSV files."""
    return bool(_tables(source))


def open_source(source: Source) -> DataSet:
    """Open tables, one a split: train_labels.csv, train/_annotations.csv, annotations.csv.

    Boxes are taken as they stand, in half-open pixels; those of Open Images are shares. A picture
    without a box in its line is background; regions of Open Images that hold a group are ignored.
    Of a table of Open Images the pictures that lie there are taken: it describes all of them.
    """
    classes, names = _classes(source), _open_images_names(source)
    splits, kinds = dict[str, list[Labelled]](), set()
    for name, table in _tables(source).items():
        split = _split(name)
        if split in splits:
            raise DatasetError(
                f"{printable(source.path(name))}: another table describes {printable(split)}, too: "
                "name one of them"
            )
        splits[split] = _Reader(source, name, table, names).pictures()
        kinds.add("Open Images" if table.shares else "tables")
    add_unnamed(source, splits)
    found = {item.name for part in splits.values() for one in part for item in one.objects}
    every = classes or tuple(sorted(found - {""}))
    kind = "CSV of Open Images" if kinds == {"Open Images"} else "CSV tables"
    return DataSet(source.file or source.root, splits, every, kind)


def _tables(source: Source) -> dict[str, _Table]:
    """Return the tables of labels by their relative names."""
    if source.file is not None:
        names = [source.named] if source.file.suffix.lower() in (".csv", ".tsv") else []
    else:
        names = [name for name in source.with_suffix(".csv", ".tsv") if _is_near(name)]
    found = {name: _table(source.head(name, 1 << 14)) for name in names}
    return {name: table for name, table in found.items() if table is not None}


def _is_near(name: str) -> bool:
    """Tell whether a file lies at the top, in a folder, or in one of a split: val/labels/a.csv."""
    return name.count("/") < 2 or (name.count("/") < 3 and bool(role_of(name.partition("/")[0])))


def _table(head: bytes) -> _Table | None:
    """Return how a table is laid out that begins so, None where it is none of labels."""
    lines = head.decode("utf-8-sig", "replace").splitlines()
    if not lines:
        return None
    delimiter = max(",;\t", key=lines[0].count)
    try:
        rows = list(csv.reader(lines[:20], delimiter=delimiter))
    except csv.Error:
        return None
    words = [re.sub(r"[_\s]", "", word).lower() for word in rows[0]]
    columns = {
        column: words.index(word)
        for column, spellings in _COLUMNS.items()
        for word in spellings[::-1]
        if word in words
    }
    if all(column in columns for column in _NEEDED):
        return _Table(columns, True, delimiter, {"imageid", "labelname"} <= set(words))
    if all(len(row) == 6 and _is_row(row) for row in rows[:-1] or rows):
        return _Table(dict(zip(_RETINANET, range(6), strict=True)), False, delimiter, False)
    return None


def _is_row(row: Sequence[str]) -> bool:
    """Tell whether a line is one of keras-retinanet: a picture with a box, or without anything."""
    if stem_and_suffix(row[0].replace("\\", "/"))[1] not in PICTURE_SUFFIXES:
        return False
    return not any(row[1:]) or all(re.fullmatch(r"\s*-?\d+(\.\d*)?\s*", n) for n in row[1:5])


def _split(name: str) -> str:
    """Return the split that a table describes, by its name or its folder's.

    Example:
        >>> [_split(n) for n in ("train_labels.csv", "valid/_annotations.csv", "annotations.csv")]
        ['train', 'valid', 'default']
    """
    folder, _, last = name.rpartition("/")
    words = re.split(r"[^A-Za-z0-9]+", last.rpartition(".")[0])
    return next((word for word in [*words, *folder.split("/")] if role_of(word)), "default")


class _Reader:
    """Reads one table into its pictures; `names` say what the labels of Open Images mean."""

    def __init__(self, source: Source, name: str, table: _Table, names: Mapping[str, str]):
        self.source, self.table, self.names = source, table, names
        self.path, self.split = source.own_path(name), _split(name)
        self.file = printable(self.path)
        self.folders = dict.fromkeys(
            (name.rpartition("/")[0], self.split, f"images/{self.split}", "images", "")
        )

    def pictures(self) -> list[Labelled]:
        """Return the pictures with their objects, and what is wrong with lines."""
        found, marked = dict[str, Labelled | None](), dict[str, list[MarkedObject]]()
        faults, needed = [], max(self.table.columns.values())
        picture = self.table.columns["picture"]
        for number, row in rows_of(self.path, self.table.delimiter):
            if not any(row) or (self.table.header and number == 1):
                continue
            if len(row) <= needed:
                place = f"{self.file}:{number}"
                fault = f"{place}: {len(row)} columns; expected {needed + 1}: correct the line"
                faults.append(Labelled(None, place, place, faults=(fault,)))
                continue
            name = row[picture].strip()
            if name not in found:
                marked[name] = []  # grows while lines of this picture come
                found[name] = self._picture(name, row, number, marked[name])
            if found[name] is not None and (item := self._object(row, number)) is not None:
                marked[name].append(item)
        there = [one for one in found.values() if one is not None]
        if len(there) < len(found):
            log.info(
                "%s: %d of its %d pictures are here, the others are passed over",
                self.file, len(there), len(found),
            )  # fmt: skip
        return [*faults, *there]

    def _picture(
        self, name: str, row: Sequence[str], number: int, objects: list[MarkedObject]
    ) -> Labelled | None:
        """Return the picture of a line; None where Open Images describes one that is not here."""
        pictures, place = self.source.pictures, f"{self.file}:{number}"
        known = stem_and_suffix(name.replace("\\", "/"))[1] in PICTURE_SUFFIXES
        tried = [name + suffix for suffix in ([""] if known else [".jpg", ".png", ".jpeg"])]
        found = next(filter(None, (pictures.find(one, self.folders) for one in tried)), None)
        if found is None and self.table.shares and name:
            return None
        if found is None:
            fault = (
                f"{place}: {pictures.missing(name)}: correct the line, or name the folder of the "
                "pictures with --images"
            )
            return Labelled(None, f"{self.split}/{name}", place, faults=(fault,))
        size = [self._number(row, side) for side in ("height", "width")]
        return Labelled(
            pictures.path(found), pictures.id_of(found), self.file,
            objects, (size[0], size[1]), place if size[0] is not None else "",
            faults=(pictures.source.leads_out(found),), shares=self.table.shares,
        )  # fmt: skip

    def _object(self, row: Sequence[str], number: int) -> MarkedObject | None:
        """Return the object of a line, None where it says that there is none."""
        cells = [row[self.table.columns[corner]] for corner in ("x1", "y1", "x2", "y2")]
        name = row[self.table.columns["name"]].strip()
        if not any(cells):
            return None
        try:
            x1, y1, x2, y2 = map(self._float, cells)
        except ValueError:
            shown = shortened(", ".join(cells))
            fault = f"the box {shown}; expected four numbers: correct the line"
            return MarkedObject("object", name, None, line=number, fault=fault)
        difficult, truncated, crowd = (
            self._number(row, flag) == 1 for flag in ("difficult", "truncated", "group")
        )
        return MarkedObject(
            "object", self.names.get(name, name), (x1, y1, x2, y2), difficult, truncated, number,
            "" if name else "no class: correct the line", crowd=crowd,
        )  # fmt: skip

    def _number(self, row: Sequence[str], column: str) -> float | None:
        """Return the number in a column, None where there is no such column or no number."""
        place = self.table.columns.get(column)
        try:
            return None if place is None else self._float(row[place])
        except ValueError:
            return None

    def _float(self, text: str) -> float:
        """Return a number, which has a decimal comma where commas do not divide the columns."""
        return number_of(text if self.table.delimiter == "," else text.replace(",", "."))


def rows_of(path: Path, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Return the lines of a table, each with its number from 1.

    Raises:
        DatasetError: it is no text in UTF-8, or no table.
    """
    with open_regular(path, max_bytes=MAX_BYTES) as file:
        reader = csv.reader(_lines(file), delimiter=delimiter)
        try:
            for row in reader:
                yield reader.line_num, row
        except csv.Error as error:
            raise DatasetError(
                f"{printable(path)}:{reader.line_num}: no readable table ({error}): correct the "
                "line"
            ) from None
        except UnicodeEncodeError:
            raise DatasetError(
                f"{printable(path)}:{reader.line_num + 1}: no readable table in UTF-8: save it as "
                "UTF-8"
            ) from None
        except OSError as error:
            raise DatasetError(f"{printable(path)}: cannot be read: {error.strerror}") from None


def _lines(file: io.BufferedReader) -> Iterator[str]:
    """Yield the lines of a file, none longer than `MAX_LINE`."""
    text = io.TextIOWrapper(file, "utf-8-sig", "surrogateescape")
    while line := text.readline(MAX_LINE):
        if not line.isascii():
            line.encode("utf-8")  # fails at a byte that is none of UTF-8's
        yield line


def _classes(source: Source) -> tuple[str, ...]:
    """Return the class names of keras-retinanet's `name,id` lists, () where there is none."""
    found = dict[str, tuple[str, ...]]()
    for name, rows in _lists(source, descriptions=False):
        if not all(len(row) == 2 and row[1].strip().isdecimal() for row in rows):
            continue
        pairs = sorted((int(number), label.strip()) for label, number in rows)
        if [number for number, _ in pairs] != list(range(len(pairs))):
            raise DatasetError(
                f"{printable(source.path(name))}: its numbers are not 0 to {len(pairs) - 1}, each "
                "once: correct them"
            )
        found[name] = tuple(label for _, label in pairs)
    if len(set(found.values())) > 1:
        names = short_list(printable(source.path(name)) for name in found)
        raise DatasetError(f"{names} name different classes: keep one of them")
    return next(iter(found.values()), ())


def _open_images_names(source: Source) -> dict[str, str]:
    """Return what the labels of Open Images mean, {} where no list says."""
    lists = (rows for _, rows in _lists(source, descriptions=True))
    return {row[0].strip(): row[1].strip() for rows in lists for row in rows if len(row) == 2}


def _lists(source: Source, *, descriptions: bool) -> Iterator[tuple[str, list[list[str]]]]:
    """Yield the lists of classes and their lines, Open Images' descriptions of them or others."""
    for name in source.with_suffix(".csv"):
        last = name.rpartition("/")[2]
        of_classes = "class" in last.lower() and not source.leads_out(name)
        if of_classes and bool(_DESCRIPTIONS.search(name)) == descriptions:
            yield name, [row for _, row in rows_of(source.path(name)) if any(row)]
