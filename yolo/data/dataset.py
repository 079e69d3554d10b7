"""A data set that has been opened: listed and parsed once, then read split by split."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from yolo.classes import common_name
from yolo.data import frames
from yolo.data.annotated import Labelled, check_objects
from yolo.data.division import drawn
from yolo.data.findings import Findings, nearest, short_list, tell_left_out
from yolo.data.sample import Sample
from yolo.data.split_names import find_split, role_of
from yolo.errors import DatasetError
from yolo.pictures.header import OPAQUE, Header, read_header
from yolo.system.reading import printable, shortened
from yolo.system.terminal import counted

log = logging.getLogger("yolo")

_ANY_SIDE = 1 << 30  # of a picture whose size nobody says
LEFT_OUT = "pictures without a label file, left out (--unlabelled background: they show no object)"


@dataclass(frozen=True)
class Part:
    """One split as the files of a data set describe it, no picture looked at.

    Args:
        what: names it in messages.
        pictures: what is marked in each.
        classes: the names that its objects may have.
        faults: what is wrong with it beyond single pictures.
        left_out: pictures without a label file that are not among `pictures`.
    """

    what: str
    pictures: Sequence[Any]
    classes: tuple[str, ...]
    faults: Sequence[str] = ()
    left_out: Sequence[Labelled] = ()


class DataSet:
    """A data set of any format, opened; its pictures are looked at when a split is read.

    A format parses its files into `Labelled` pictures and hands them over; what it does otherwise
    than most it overrides.

    Args:
        root: the folder or file, for messages.
        pictures: the pictures of each split by the data set's own name for it; a mere list, which
            a seed divides, where the data set has no lists of its own. A seed divides a single
            split, too, unless its name says what it is for; `divide` divides that.
        classes: the class names that occur, in the order of their ids.
        kind: what was recognised, for the line that says so: "COCO JSON by Roboflow".

    Attributes:
        lists: the data set's own names for its lists; "" alone where it has none.
        names: of the splits; those of `lists`, unless a seed divides the only one.
        divided: whether a seed decides which picture is in which split.
        background: whether pictures without a label file show no object; they are left out, if not.
        files: of lists that have one each, which names it in messages.
        notes: what was wrong with each split that was read, repairs and faults.
    """

    others_left_out = False  # whether objects of classes that nobody asks for go without saying
    counts_pixels = False  # whether annotations number pixels, from 0 or from 1
    size_note = "height and width are not the picture's, whose own are used"

    def __init__(
        self,
        root: str | os.PathLike,
        pictures: Mapping[str, Sequence[Labelled]] | Sequence[Labelled] = (),
        classes: Sequence[str] = (),
        kind: str = "",
    ):
        self.root, self.kind, self._classes = Path(root), kind, tuple(classes)
        self._pictures = pictures if isinstance(pictures, Mapping) else {"": pictures}
        self.lists = tuple(self._pictures)
        self.divided, self.names = False, self.lists
        if len(self.lists) == 1 and role_of(self.lists[0]) is None:
            self.divide()
        self.background, self.files = False, dict[str, Path]()
        self.notes: list[Findings] = []

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names that the annotations hold.

        Raises:
            DatasetError: no annotation names any object.
        """
        if not self._classes:
            raise DatasetError(
                f"{printable(self.root)}: no annotation names an object: mark some, or name "
                "another folder"
            )
        return self._classes

    def splits(self, seed: int = 0) -> dict[str, list[str]]:
        """Return the ids of the pictures in each split.

        Without lists of its own it is divided into train, val and test, about 80, 10 and
        10 in a hundred: a picture's place follows from the seed and its id alone, so that adding
        one moves no other.
        """
        return {name: [p.image_id for p in self.part(name, seed).pictures] for name in self.names}

    def describe(self, splits: Iterable[str], seed: int = 0) -> str:
        """Return one line: what was recognised, and how it was divided into these splits."""
        found = {self.named(wanted): wanted for wanted in splits}
        counts = {
            name if name == wanted else f"{name} (as {wanted})": len(self.part(name, seed).pictures)
            for name, wanted in found.items()
            if name is not None
        }
        by = f", divided by seed {seed}" if any(map(self.draws, found)) else ""
        parts = ", ".join(f"{printable(name)} {count}" for name, count in counts.items() if name)
        whole = f"{self.kind}, {counted(sum(counts.values()), 'picture')}{by}"
        return f"{whole}: {parts}" if parts else whole

    def read(
        self, split: str, *, classes: Sequence[str] | None = None, seed: int = 0,
        only_classes: bool = False, first_pixel: str = "auto", keep_faults: bool = False,
    ) -> list[Sample]:  # fmt: skip
        """Read a split: look at its pictures, and judge what is marked in them.

        What can be repaired is repaired in memory and logged; files are never changed.

        Args:
            split: one of `names`, or a name that means the same: "val" is "valid", too. One of
                `lists` gives all of that list.
            classes: class names in the order of their ids; those of the data set if None. COCO's
                own names and Darknet's mean the same.
            seed: decides the split where the data set has no lists.
            only_classes: leave out objects of other classes instead of refusing them.
            first_pixel: "0" or "1", how annotations number pixels; "auto" finds out.
            keep_faults: leave repairs and faults in `notes`; nothing is logged or raised for them.

        Returns:
            One sample a picture, in the list's order; a picture without objects has empty arrays.

        Raises:
            DatasetError: there is no such split, or files are faulty: the message names every
                faulty file and object, up to 20.
        """
        wanted = tuple(self.classes if classes is None else classes)
        part = self.asked(split, seed)
        findings = Findings(part.what)
        findings.errors += part.faults
        for picture in part.left_out:
            findings.warn(LEFT_OUT, printable(picture.path or picture.place))
        samples = self._samples(part, self._ids(part, wanted), first_pixel, findings)
        if only_classes or self.others_left_out:
            tell_left_out(part.what, {name: len(found) for name, found in findings.others.items()})
        else:
            _refuse_others(findings, wanted)
        findings.judge_stray()
        self.notes.append(findings)
        if not keep_faults:
            findings.close()
            _describe(samples, part.what)
        return samples

    def asked(self, split: str, seed: int = 0) -> Part:
        """Return the split that a name means as the files describe it.

        Raises:
            DatasetError: there is no such split.
        """
        name = self.named(split)
        if name is None:
            raise DatasetError(
                f"{printable(self.root)}: no split {split!r}; expected one of "
                f"{short_list(map(printable, self.names))}"
            )
        return self.part(name, seed)

    def named(self, split: str) -> str | None:
        """Return the list or split that is meant, None if there is none."""
        return split if split in self.lists else find_split(split, self.names)

    def divide(self) -> None:
        """Have a seed divide a single list, whatever its name; several stay as they are.

        Beside others that are empty a list is a single one.
        """
        full = self.lists
        if len(full) > 1:
            filled = (name for name in self.lists if self.listed(name).pictures)
            full = tuple(itertools.islice(filled, 2))
        if len(full) == 1:
            self.lists, self.divided, self.names = full, True, ("train", "val", "test")

    def draws(self, name: str | None) -> bool:
        """Tell whether a seed decides which pictures the split of this name has."""
        return self.divided and name in self.names

    def damaged(self) -> list[str]:
        """Return a line for each file that is not as it was written, as far as a format knows."""
        return []

    # ------------------------------------------------------------- what a format may override

    def need_pictures(self) -> None:
        """Refuse a folder in which there are none at all, where a format can tell.

        Raises:
            DatasetError: there are none.
        """

    def listed(self, name: str) -> Part:
        """Return what one list of the files names; a format that parses late overrides this."""
        what = f"{printable(self.root)}{f', split {printable(name)}' if name else ''}"
        what = printable(self.files[name]) if name in self.files else what
        return Part(what, self._pictures[name], self._classes)

    def part(self, split: str, seed: int = 0) -> Part:
        """Return a split as the files describe it, without the pictures that are left out."""
        whole = self.listed(self.lists[0] if self.divided else split)
        labelled, without = list[Labelled](), list[Labelled]()
        for picture in whole.pictures:
            left = picture.unlabelled and not self.background
            (without if left else labelled).append(picture)
        if self.draws(split):
            labelled = drawn(labelled, split, seed, lambda one: one.divided_by or one.image_id)
            without = without if split == self.names[0] else []
            whole = replace(whole, what=f"{printable(self.root)}, split {split}")
        return replace(whole, pictures=labelled, left_out=without)

    def _ids(self, part: Part, classes: tuple[str, ...]) -> dict[str, int]:
        """Return the class id of each name that occurs in a split and is asked for."""
        return class_ids(part.classes, classes)

    def _samples(
        self, part: Part, ids: Mapping[str, int], first_pixel: str, findings: Findings
    ) -> list[Sample]:
        first = self._first_pixel(first_pixel)
        looked_at = [
            (picture, header)
            for picture in part.pictures
            if (header := self._header(picture, findings)) is not None
        ]
        on_shown = frames.on_shown_picture(looked_at, first, findings)
        return [
            self._sample(picture, header, ids, first, findings)
            for picture, (_, header) in zip(on_shown, looked_at, strict=True)
            if picture is not None
        ]

    def _first_pixel(self, choice: str) -> int:
        """Return 1 where boxes count pixels from 1 and name the last one inside, else 0."""
        return 0

    def _check_size(self, picture: Labelled, header: Header, findings: Findings) -> None:
        """Compare the size that the annotation gives with the picture's, which is right.

        Unless it is turned by 90 degrees and boxes fit into it alone: those of a picture that was
        turned since, nobody knows which way.
        """
        height, width = header.size
        if not picture.size_place or picture.size == header.size:
            return
        known = picture.size is not None and None not in picture.size
        found = "{1}x{0}".format(*map(shortened, picture.size)) if known else "nothing"
        place = f"{picture.size_place}: {found} for {width}x{height}"
        boxes = [item.box for item in picture.objects if item.box]
        if picture.size == (width, height) and not picture.shares:
            beyond = any(box[2] > width or box[3] > height for box in boxes)
            if beyond and all(box[2] <= height and box[3] <= width for box in boxes):
                findings.error(
                    f"{place}: the boxes were drawn on the picture before its rotation: save the "
                    "picture upright without an EXIF orientation, or mark it again"
                )
                return
        findings.warn(self.size_note, place)

    # -----------------------------------------------------------------------------------------

    def _header(self, picture: Labelled, findings: Findings) -> Header | None:
        """Return the header of a picture, None if the picture cannot be used."""
        for kind, place in picture.repairs:
            findings.warn(kind, place)
        findings.errors += filter(None, picture.faults)
        if picture.path is None or any(picture.faults):
            return None
        try:
            header = read_header(picture.path)
        except DatasetError as error:
            findings.error(f"{picture.before}{error}")
            return None
        if header.frames > 1:
            shown = printable(picture.path)
            findings.warn("pictures of several frames, the first taken", shown)
        if header.alpha != OPAQUE:
            findings.note("transparent pictures, seen on their background", printable(picture.path))
        return header

    def _sample(
        self, picture: Labelled, header: Header, ids: Mapping[str, int], first_pixel: int,
        findings: Findings,
    ) -> Sample:  # fmt: skip
        """Return a picture and its objects."""
        self._check_size(picture, header, findings)
        objects = []
        for item in picture.objects:
            nothing = item.repair and item.box is None  # no object, of whatever class
            if item.name in ids or nothing or (item.fault and not self.others_left_out):
                objects.append(item)
            else:
                findings.others.setdefault(item.name, []).append(item.place(picture.place))
        arrays = check_objects(
            objects, ids, header.size, file=picture.place, findings=findings,
            first_pixel=first_pixel, shares=picture.shares,
        )  # fmt: skip
        return Sample(
            cast(Path, picture.path), size=header.size, image_id=picture.image_id,
            plain_jpeg=header.plain_jpeg, **arrays,
        )  # fmt: skip


def class_ids(names: Sequence[str], classes: Sequence[str]) -> dict[str, int]:
    """Return the number in `classes` of each name that is among them, by either name of COCO's.

    Example:
        >>> class_ids(["couch", "cat", "cup"], ["cat", "sofa"])
        {'couch': 1, 'cat': 0}
    """
    numbers = {common_name(name): i for i, name in enumerate(classes)}
    numbers |= {name: i for i, name in enumerate(classes)}
    found = ((name, numbers.get(name, numbers.get(common_name(name)))) for name in names)
    return {name: number for name, number in found if number is not None}


def without_pictures(part: Part, classes: Sequence[str], *, first_pixel: int = 0) -> list[Sample]:
    """Return the samples of a split whose pictures are not there, by the sizes that it gives.

    What is wrong with an annotation goes without saying: COCO's own tools take them as they are.
    """
    ids, samples = class_ids(part.classes, classes), []
    for picture in part.pictures:
        known = picture.size is not None and all(isinstance(n, int) and n > 0 for n in picture.size)
        size = picture.size if known else (_ANY_SIDE, _ANY_SIDE)
        objects = [one for one in picture.objects if one.name in ids]
        arrays = check_objects(
            objects, ids, size, file=picture.place, findings=Findings(part.what),
            first_pixel=first_pixel,
        )  # fmt: skip
        name = Path(picture.size_place or picture.place)  # COCO's file_name, or the annotation
        samples.append(Sample(name, size=size, image_id=picture.image_id, **arrays))
    return samples


def _refuse_others(findings: Findings, classes: tuple[str, ...]) -> None:
    """Note the classes that occurred and are not in the list, once each."""
    for name, places in findings.others.items():
        findings.error(
            f"{places[0]}: class {shortened(name)} ({len(places)} objects in this split) is "
            f"not among {short_list(map(printable, classes))}"
            f"{nearest(name, classes)}: add it to the class list, correct the files, or "
            "leave such objects out with --only-classes"
        )


def _describe(samples: Sequence[Sample], what: str) -> None:
    counts = [len(sample.class_ids) for sample in samples]
    difficult = sum(int(sample.difficult.sum()) for sample in samples)
    log.info(
        "%s: %s (%d without objects), %s (%d difficult)", what, counted(len(samples), "picture"),
        counts.count(0), counted(sum(counts), "object"), difficult,
    )  # fmt: skip
