"""Which label file belongs to which picture: by their names, wherever tools put the two."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from yolo.pictures.header import PICTURE_SUFFIXES

# What the folders of labels and of pictures are called, in small letters. They say nothing about
# which picture it is: labels/cam1/a.xml belongs to images/cam1/a.jpg.
LABEL_FOLDERS = frozenset(
    "annotations annotation annots annot anns ann labels label xmls xml txt voc yolo".split()
)
PICTURE_FOLDERS = frozenset(
    "jpegimages images image imgs img pictures photos pics frames data obj_train_data".split()
)
_SAY_NOTHING = LABEL_FOLDERS | PICTURE_FOLDERS


def nfc(name: str) -> str:
    """Return a name as it compares: in NFC, as most systems write it."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def stem_and_suffix(name: str) -> tuple[str, str]:
    """Return the last part of a name without its suffix, and the suffix in small letters.

    Example:
        >>> stem_and_suffix("a/b.c.JPG"), stem_and_suffix(".hidden")
        (('b.c', '.jpg'), ('.hidden', ''))
    """
    last = name.rpartition("/")[2]
    stem, dot, suffix = last.rpartition(".")
    return (stem, f".{suffix.lower()}") if stem and dot else (last, "")


def key_of(name: str) -> str:
    """Return what a label file and its picture have in common: folders that say something, stem.

    Example:
        >>> key_of("Annotations/cam1/a.xml"), key_of("JPEGImages/cam1/a.jpg")
        ('cam1/a', 'cam1/a')
    """
    folder, slash, _ = name.rpartition("/")
    return core(f"{folder}{slash}{stem_and_suffix(name)[0]}")


def core(name: str) -> str:
    """Return a name in NFC without the folders that say nothing about which picture it is."""
    *folders, last = nfc(name).split("/")
    return "/".join([*(folder for folder in folders if folder.lower() not in _SAY_NOTHING), last])


class Pairs(NamedTuple):
    """Label files and pictures, put together.

    Args:
        pictures: each label file with its pictures, the one to take first; [] where there is none.
        alone: pictures that no label file belongs to.
    """

    pictures: dict[str, list[str]]
    alone: list[str]


def pair(labels: Sequence[str], pictures: Sequence[str]) -> Pairs:
    """Put label files and pictures together by their names relative to one folder.

    They belong together by `key_of`, or where only letter case differs; a label file that is still
    without a picture takes the one picture of its stem, if there is one only and no other label
    file has that stem. A label file may be called after the whole name, `a.jpg.xml`.

    Args:
        labels: files, relative to the folder, with "/".
        pictures: files, likewise.
    """
    keys: dict[str, list[str]] = defaultdict(list)
    for name in pictures:
        keys[key_of(name)].append(name)
    for names in keys.values():
        names.sort(key=_preference)
    found = {label: keys.get(key_of(label), []) for label in labels}
    missing = [label for label, names in found.items() if not names]
    if missing:
        taken = {name for names in found.values() for name in names}
        _find_otherwise(missing, [name for name in pictures if name not in taken], labels, found)
    taken = {name for names in found.values() for name in names}
    return Pairs(found, [name for name in pictures if name not in taken])


def _find_otherwise(
    missing: Iterable[str], left: Sequence[str], labels: Sequence[str], found: dict
) -> None:
    """Find pictures for label files by their keys in another case, then by their stems alone."""
    folded, stems, label_stems = (defaultdict(list) for _ in range(3))
    for name in left:
        folded[key_of(name).casefold()].append(name)
        stems[_stem(name)].append(name)
    for label in labels:
        label_stems[_without_picture_suffix(_stem(label))].append(label)
    for label in missing:
        key = key_of(label).casefold()
        for one in (key, _without_picture_suffix(key)):
            if len(folded[one]) == 1:
                found[label] = folded[one]
                break
        else:
            stem = _without_picture_suffix(_stem(label))
            if len(stems[stem]) == len(label_stems[stem]) == 1:
                found[label] = stems[stem]


def _stem(name: str) -> str:
    return stem_and_suffix(nfc(name))[0].casefold()


def _without_picture_suffix(key: str) -> str:
    suffix = stem_and_suffix(key)[1]
    return key[: -len(suffix)] if suffix in PICTURE_SUFFIXES else key


def _preference(name: str) -> tuple[int, str]:
    return PICTURE_SUFFIXES.index(stem_and_suffix(name)[1]), name
