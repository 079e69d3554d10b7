"""Pictures that lie among those of a split, and that no file of labels names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from yolo.data.annotated import Labelled
from yolo.data.source import Source
from yolo.data.split_names import role_of
from yolo.system.reading import printable


def folders_of(source: Source, pictures: Iterable[Labelled]) -> set[str]:
    """Return the folders in which pictures lie, relative to that of the source's pictures."""
    root = source.pictures.source.root
    found = {one.path.parent for one in pictures if one.path is not None}
    return {folder.relative_to(root).as_posix() for folder in found}


def add_unnamed(source: Source, splits: Mapping[str, list[Labelled]]) -> None:
    """Add to each split what `unnamed` finds; a file that was named itself stands for itself."""
    if source.file is None:
        for split, others in unnamed(source, splits).items():
            splits[split] += others


def unnamed(source: Source, splits: Mapping[str, Sequence[Labelled]]) -> dict[str, list[Labelled]]:
    """Return for each split the pictures that lie in its folders and are in no split.

    Of a folder in which pictures of several splits lie they belong to the training split.
    """
    pictures, homes = source.pictures, dict[str, str]()
    named = {str(one.path) for part in splits.values() for one in part}
    for split in sorted(splits, key=lambda name: role_of(name) != "train"):
        for folder in folders_of(source, splits[split]):
            homes.setdefault("" if folder == "." else folder, split)
    found: dict[str, list[Labelled]] = {split: [] for split in splits}
    for name in pictures.names:
        home, path = homes.get(name.rpartition("/")[0]), pictures.path(name)
        if home is not None and str(path) not in named:
            found[home].append(
                Labelled(path, pictures.id_of(name), printable(path), unlabelled=True)
            )
    return found
