"""Where the files of a data set in VOC format lie, and which its lists name for what."""

from __future__ import annotations

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from yolo.data.pairing import (
    LABEL_FOLDERS,
    PICTURE_FOLDERS,
    core,
    grouped,
    nfc,
    pair,
    stem_and_suffix,
)
from yolo.data.source import Source, plain_name
from yolo.data.split_names import role_of
from yolo.pictures.header import PICTURE_SUFFIXES
from yolo.system.reading import printable, read_lines_of

log = logging.getLogger("yolo")

SNIFFED = 20  # annotations whose first bytes are looked at
USUAL = "annotations"
FLAGS = ("1", "-1", "0")  # behind a name in a list of one class: whether it occurs there
_PICTURE_AND_XML = re.compile(  # in a line, as PaddleDetection's lists have them
    rf"(.+?({'|'.join(map(re.escape, PICTURE_SUFFIXES))}))\s.+\.xml$", re.IGNORECASE
)
_FOLDERS = ("imagesets/main", "imagesets")  # the first that holds lists has them all


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


def find_layout(source: Source) -> tuple[dict[str, Member], dict[str, list[str]], str]:
    """Find the annotations below a folder, their pictures, and the lists.

    Returns:
        The members by id, the name of annotation and picture without suffix and without the folders
        that every data set has, "0001", or "cam1/0001" in subfolders; the ids in each list, in its
        order, {} where nothing says what is for training; and what there is to say of the lists.
    """
    pictures = source.pictures
    found = pair(source.with_suffix(".xml"), pictures.names)
    labelled = {name for own in found.values() for name in own}
    members: dict[str, Member] = {}
    of_picture: dict[str, str] = {}
    for name, own in found.items():
        if own and own[0] in of_picture:
            first = members[of_picture[own[0]]]
            members[of_picture[own[0]]] = first._replace(others=(*first.others, name))
        elif own or _in_label_folder(name) or is_annotation(source, name):
            key = _free_id(name, members)
            members[key] = Member(name, own)
            of_picture |= {picture: key for picture in own[:1]}
    for name in pictures.names:
        if name not in labelled:
            members[_free_id(name, members)] = Member(None, (name,))
    lists, note = read_lists(source, members)
    return members, lists or _split_folders(members), note and f" ({note})"


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
    tops = {key: key.partition("/")[0] if "/" in key else "" for key in members}
    for key, member in members.items():
        if member.annotation:
            found[tops[key]].append(key)
    train = next((name for name in found if role_of(name) == "train"), None)
    if train is None:
        return {}
    for key, member in members.items():
        if not member.annotation:
            top = tops[key]
            found[top if top in found or role_of(top) else train].append(key)
    return dict(found)


# ----------------------------------------------------------------------------------- lists


def read_lists(source: Source, members: Collection[str]) -> tuple[dict[str, list[str]], str]:
    """Return the ids that each list names, in its order, and how the lists came about.

    Lists of single classes (`dog_train.txt`, lines "0001 -1") are passed over, or joined where
    there are no others. A list that names nothing is none.
    A line that means none of the members is given as it stands.
    """
    paths = _list_files(source)
    lines = {
        name: [line.strip() for line in read_lines_of(source.path(path)) if line.strip()]
        for name, path in paths.items()
    }
    of_class = [name for name in lines if _is_of_class(name, lines, members)]
    plain = [name for name in lines if name not in of_class and lines[name]]
    ids, joined = _Ids(members), defaultdict[str, list[str]](list)
    for name in plain or of_class:
        found = [ids.find(line) or line for line in lines[name]]
        joined[name if plain else name.rpartition("_")[2]] += found
        for one in sorted(one for one, count in Counter(found).items() if plain and count > 1):
            log.warning(
                "%s: %s stands there twice; it is read once",
                printable(source.path(paths[name])), printable(one),
            )  # fmt: skip
    note = f"{len(of_class)} lists of single classes joined" if of_class and not plain else ""
    return {name: list(dict.fromkeys(found)) for name, found in joined.items()}, note


def _list_files(source: Source) -> dict[str, str]:
    """Return the lists by their names: those in ImageSets/Main, or else nearer to the top."""
    of_folder = grouped(source.with_suffix(".txt"), lambda name: name.rpartition("/")[0].lower())
    folder = next((one for one in _FOLDERS if one in of_folder), "")
    found = {stem_and_suffix(path)[0]: path for path in of_folder.get(folder, ())}
    if folder:
        return found
    plain = {name.lower().removesuffix("_list"): path for name, path in found.items()}
    return {name: path for name, path in plain.items() if role_of(name) or name == "trainval"}


def _is_of_class(name: str, lists: dict[str, list[str]], members: Collection[str]) -> bool:
    """Tell whether a list marks where one class occurs: dog_train, with a flag behind each name."""
    _, underscore, last = name.rpartition("_")
    if not underscore or not (last in lists or role_of(last) or last == "trainval"):
        return False
    if not lists[name]:
        return last in lists
    return all(_flagged(line) and nfc(line) not in members for line in lists[name])


def _flagged(line: str) -> bool:
    return " " in line and line.rpartition(" ")[2] in FLAGS


class _Ids:
    """Finds the ids that lines mean: in other letter case, with suffix, folders or a flag, too."""

    def __init__(self, members: Iterable[str]):
        self._exact = frozenset(members)
        self._folded = grouped(self._exact, str.casefold)

    def find(self, line: str) -> str | None:
        """Return the id that a line means, None if none."""
        texts = [line, line.rpartition(" ")[0].strip()] if _flagged(line) else [line]
        if pair := _PICTURE_AND_XML.match(line):
            texts.append(pair[1])
        for text in texts:
            if (found := self._named(text)) is not None:
                return found
            suffix = stem_and_suffix(text)[1]
            if suffix in PICTURE_SUFFIXES or suffix == ".xml":
                if (found := self._named(text[: -len(suffix)])) is not None:
                    return found
        return None

    def _named(self, name: str) -> str | None:
        if nfc(name) in self._exact:
            return nfc(name)
        parts = core(plain_name(name) or "").split("/")
        for first in range(len(parts)):
            tail = "/".join(parts[first:])
            near = [tail] if tail in self._exact else self._folded.get(tail.casefold(), [])
            if len(near) == 1:
                return near[0]
        return None
