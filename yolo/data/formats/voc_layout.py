"""Where the files of a data set in VOC format lie: which annotation belongs to which picture."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from yolo.data.formats.voc_lists import read_lists
from yolo.data.pairing import LABEL_FOLDERS, PICTURE_FOLDERS, core, nfc, pair, stem_and_suffix
from yolo.data.source import Source
from yolo.data.split_names import role_of
from yolo.errors import DatasetError
from yolo.system.reading import printable

SNIFFED = 20  # annotations whose first bytes are looked at
USUAL = "annotations"


class Member(NamedTuple):
    """An annotation, its pictures, or a picture without one, relative to the data set's folder.

    Args:
        annotation: the file, None where the picture has none.
        pictures: the one to take first; () where the annotation has none.
        others: further annotations of the same picture, which are not read.
    """

    annotation: str | None
    pictures: Sequence[str]
    others: tuple[str, ...] = ()


class Layout(NamedTuple):
    """What lies where.

    Args:
        members: by id, the name of annotation and picture without suffix and without the folders
            that every data set has: "0001", or "cam1/0001" in subfolders.
        lists: ids in the order of each list; {} where nothing says what is for training.
        note: what the kind of the data set has to say of the lists, or "".
    """

    members: dict[str, Member]
    lists: dict[str, list[str]]
    note: str

    @property
    def folder(self) -> str:
        """Where an annotation that a list names should lie, relative, with "/" behind."""
        names = (one.annotation for one in self.members.values() if one.annotation)
        folder = next(names, "Annotations/").rpartition("/")[0]
        return f"{folder}/" if folder else ""


def recognise(source: Source) -> bool:
    """Tell whether a folder holds annotations in VOC format: by their folder, or by content."""
    if source.file:
        return False
    names = source.with_suffix(".xml")
    if not names:
        empty = [name for name in source.folders if name.lower() == USUAL]
        return bool(empty) and not any(n.startswith(f"{empty[0]}/") for n in source.names)
    here = [name for name in names if not _above(name)]
    if any(name.lower().startswith(f"{USUAL}/") for name in here):
        return True
    return any(is_annotation(source, name) for name in here[:SNIFFED])


def is_annotation(source: Source, name: str) -> bool:
    """Tell by the first bytes of an XML file whether it is an annotation."""
    head = source.head(name).replace(b"\0", b"")  # UTF-16, too
    return re.search(rb"[<:]annotation[\s>/]", head) is not None


def find_layout(source: Source) -> Layout:
    """Find the annotations below a folder, their pictures, and the lists.

    Raises:
        DatasetError: there are annotations, but no place for pictures, or a list cannot be read.
    """
    pictures = source.pictures
    if not len(pictures) and not any(n.lower() in PICTURE_FOLDERS for n in source.folders):
        raise DatasetError(
            f"{printable(source.root)}: has annotations but no JPEGImages: put the pictures "
            "there, or name their folder with --images DIR"
        )
    found = pair(source.with_suffix(".xml"), pictures.names)
    members: dict[str, Member] = {}
    of_picture: dict[str, str] = {}
    for name, own in found.pictures.items():
        if own and own[0] in of_picture:
            first = members[of_picture[own[0]]]
            members[of_picture[own[0]]] = first._replace(others=(*first.others, name))
        elif own or _in_label_folder(name) or is_annotation(source, name):
            key = _free_id(name, members)
            members[key] = Member(name, own)
            of_picture |= {picture: key for picture in own[:1]}
    for name in found.alone:
        members[_free_id(name, members)] = Member(None, (name,))
    lists, note = read_lists(source, members)
    return Layout(members, lists or _split_folders(members), note and f" ({note})")


def _above(name: str) -> str:
    """Return the folders in which an annotation's data set lies, "" if it is the source's own."""
    *folders, _ = name.lower().split("/")
    first = next((i for i, one in enumerate(folders) if one in LABEL_FOLDERS), None)
    if first is None:
        return ""
    before = folders[:first]
    while before and (role_of(before[-1]) or before[-1] in PICTURE_FOLDERS):
        before.pop()
    return "/".join(before)


def _in_label_folder(name: str) -> bool:
    return any(folder in LABEL_FOLDERS for folder in name.lower().split("/")[:-1])


def _free_id(name: str, taken: dict[str, Member]) -> str:
    """Return the id of a file: short, unless another has it."""
    stem, _ = stem_and_suffix(name)
    folder, slash, _ = nfc(name).rpartition("/")
    whole = f"{folder}{slash}{nfc(stem)}"
    return next(one for one in (core(whole), whole, nfc(name)) if one not in taken)


def _split_folders(members: dict[str, Member]) -> dict[str, list[str]]:
    """Return the ids by their first folder, if that is what divides them: train/, valid/, test/.

    What lies beside these folders is in the list "", or with the first if nobody labelled it.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for key, member in members.items():
        if member.annotation:
            found[key.partition("/")[0] if "/" in key else ""].append(key)
    train = next((name for name in found if role_of(name) == "train"), None)
    if train is None:
        return {}
    for key, member in members.items():
        if not member.annotation:
            folder = key.partition("/")[0] if "/" in key else ""
            found[folder if folder in found or role_of(folder) else train].append(key)
    return dict(found)
