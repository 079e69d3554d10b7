"""Which label file belongs to which picture: by their names, wherever tools put the two."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from yolo.pictures.header import PICTURE_SUFFIXES

# What the folders of labels and of pictures are called, in small letters. They say nothing about
# which picture it is: labels/cam1/a.xml belongs to images/cam1/a.jpg.
LABEL_FOLDERS = frozenset(
    "annotations annotation annots annot anns ann labels label xmls xml txt voc yolo".split()
)
PICTURE_FOLDERS = frozenset(
    "jpegimages images image imgs img pictures photos pics frames data obj_train_data".split()
)
T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
_SAY_NOTHING = LABEL_FOLDERS | PICTURE_FOLDERS


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Return the items of each key, in their order."""
    found: dict[K, list[T]] = defaultdict(list)
    for item in items:
        found[key(item)].append(item)
    return dict(found)


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


def pair(labels: Sequence[str], pictures: Sequence[str]) -> dict[str, list[str]]:
    """Return for each label file its pictures, the one to take first; [] where there is none.

    They belong together by `key_of`, or where only letter case differs; a label file that is still
    without a picture takes the one picture of its stem, if there is one only and no other label
    file has that stem. A label file may be called after the whole name, `a.jpg.xml`.
    All names are relative to some folder, with "/".
    """
    by_suffix = sorted(pictures, key=lambda n: (PICTURE_SUFFIXES.index(stem_and_suffix(n)[1]), n))
    keys = grouped(by_suffix, key_of)
    found = {label: keys.get(key_of(label), []) for label in labels}
    missing = [label for label, names in found.items() if not names]
    if missing:
        taken = {name for names in found.values() for name in names}
        _find_otherwise(missing, [name for name in pictures if name not in taken], labels, found)
    return found


def _find_otherwise(
    missing: Iterable[str], left: Sequence[str], labels: Sequence[str], found: dict
) -> None:
    """Find pictures for label files by their keys in another case, then by their stems alone."""
    folded = grouped(left, lambda name: key_of(name).casefold())
    stems = grouped(left, _stem)
    label_stems = grouped(labels, lambda name: _without_picture_suffix(_stem(name)))
    for label in missing:
        key = key_of(label).casefold()
        for one in (key, _without_picture_suffix(key)):
            if len(folded.get(one, ())) == 1:
                found[label] = folded[one]
                break
        else:
            stem = _without_picture_suffix(_stem(label))
            if len(stems.get(stem, ())) == len(label_stems[stem]) == 1:
                found[label] = stems[stem]


def _stem(name: str) -> str:
    return stem_and_suffix(nfc(name))[0].casefold()


def _without_picture_suffix(key: str) -> str:
    suffix = stem_and_suffix(key)[1]
    return key[: -len(suffix)] if suffix in PICTURE_SUFFIXES else key
