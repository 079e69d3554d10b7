"""An instances file of the COCO format: parsed into pictures and what is marked in them."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from yolo.data.annotated import ROTATED, Box, Labelled, MarkedObject, rotated
from yolo.data.dataset import Part
from yolo.data.findings import short_list
from yolo.data.source import Pictures, plain_name
from yolo.errors import DatasetError
from yolo.system.reading import printable, read_json, shortened

MAX_JSON_BYTES = 1 << 31


def parsed(path: Path, pictures: Pictures, folders: Sequence[str]) -> Part:
    """Return what an instances file says of its pictures.

    Pictures are looked for in the folders given, the likeliest first, relative names.
    """
    data, file, faults = read_instances(path, labelled=False), printable(path), list[str]()
    unlabelled = "annotations" not in data  # as COCO's own files of test pictures
    names = {} if unlabelled and not data["categories"] else _categories(data, path)
    entries = _by_id(data["images"], file, faults)
    marked = _marked(data.setdefault("annotations", []), entries, names, file, faults)
    found = [
        replace(_labelled(key, entry, file, pictures, folders), objects=marked[key],
                unlabelled=unlabelled)
        for key, entry in entries.items()
    ]  # fmt: skip
    return Part(file, found, _classes(data, names), faults)


def category_names(path: Path) -> dict[str, str]:
    """Return the name of each category of an instances file, by its id as text."""
    return {str(key): name for key, name in _categories(read_instances(path), path).items()}


def _labelled(
    key: int | str, entry: dict, file: str, pictures: Pictures, folders: Sequence[str]
) -> Labelled:
    """Return what is known of a picture: where it lies, or why it cannot be used."""
    name, fault, path = entry.get("file_name"), "", None
    shown = place = printable(str(name))
    if isinstance(name, str):  # Label Studio leads to its own folder of uploads
        name = re.sub(r"^(\.\.[/\\])+(?=label-studio[/\\])", "/", name)
    if not isinstance(name, str) or plain_name(name) is None:
        fault = f"file_name {shortened(name)}; expected a name in the folder"
    elif (found := pictures.find(name, folders)) is not None:
        fault = pictures.source.leads_out(found)
        path, place = None if fault else pictures.path(found), pictures.id_of(found)
    else:
        there = [f"{one}/" for one in folders if one and one in pictures.source.folders]
        where = f" (in {short_list(there)} and elsewhere)" if there else ""
        below = f"{printable(pictures.source.root)}{where}{pictures.hint(name)}"
        fault = (
            f"file_name {shortened(name)}: no such picture below {below}: name the folder of the "
            "pictures with --images"
        )
    return Labelled(
        path, str(key), f"{file}: {shown}", (), (entry.get("height"), entry.get("width")), shown,
        (f"{file}: picture {shortened(key)}: {fault}",) if fault else (), divided_by=place,
    )  # fmt: skip


def _classes(data: dict, names: Mapping[int, str]) -> tuple[str, ...]:
    """Return the categories that are classes: not Roboflow's first, which is the group of all.

    Nothing is marked as of that group, and all others name it as their supercategory.
    """
    if not names:
        return ()
    first, *others = names
    above = {c["id"]: c.get("supercategory") for c in data["categories"]}
    marked = any(item.get("category_id") == first for item in data["annotations"])
    group = others and all(above.get(one) == names[first] for one in others)
    # One name under two ids is one class.
    return tuple(dict.fromkeys(names[one] for one in (others if group and not marked else names)))


def _marked(
    annotations: list[dict], pictures: Container, names: Mapping[Any, str], file: str,
    faults: list[str],
) -> dict[Any, list[MarkedObject]]:  # fmt: skip
    """Return the objects of each picture id; an annotation that belongs nowhere is a fault."""
    marked: dict[Any, list[MarkedObject]] = defaultdict(list)
    for number, item in enumerate(annotations):
        label = f"annotation {shortened(item.get('id', f'number {number}'))}"
        picture, category = (_plain(item.get(name)) for name in ("image_id", "category_id"))
        if picture not in pictures:
            faults.append(f"{file}: {label}: no picture with id {shortened(item.get('image_id'))}")
            continue
        if category not in names:
            which = shortened(item.get("category_id"))
            faults.append(f"{file}: {label}: no category with id {which}")
            continue
        box, crowd, fault = _corners(item.get("bbox")), item.get("iscrowd") or 0, ""
        if box is None:
            fault = f"bbox {shortened(item.get('bbox'))}; expected [x, y, width, height]"
        elif crowd not in (0, 1):
            fault = f"iscrowd {shortened(crowd)}; expected 0 or 1"
        degrees = _rotation(item)
        if box is not None and degrees:
            box = rotated(box, math.radians(degrees))
        ignored = item.get("ignore") == 1  # difficult objects in the COCO form of PASCAL VOC
        marked[picture].append(MarkedObject(
            label, names[category], box, ignored, fault=fault, repair=ROTATED if degrees else "",
            crowd=crowd == 1, area=_area(item),
        ))  # fmt: skip
    return marked


def _rotation(item: dict) -> float:
    """Return by how many degrees CVAT has an annotation's box turned about its middle."""
    attributes = item.get("attributes")
    found = attributes.get("rotation") if isinstance(attributes, dict) else None
    known = isinstance(found, int | float) and math.isfinite(found)
    return float(found) % 360 if found is not None and known else 0.0


def _area(item: dict) -> float:
    """Return the area of an annotation's mask, 0 where it gives none that is one."""
    area = item.get("area")
    return float(area) if isinstance(area, int | float) and 0 < area < 1e15 else 0.0


def _corners(bbox: object) -> Box | None:
    """Return the corners of [x, y, width, height], None for anything else."""
    if not isinstance(bbox, list) or len(bbox) != 4:
        return None
    try:
        x, y, width, height = map(float, bbox)
    except (TypeError, ValueError, OverflowError):
        return None
    return x, y, x + width, y + height


def _plain(value) -> Any:
    """Return an id as it is, and None for what cannot be one."""
    return value if isinstance(value, int | str) else None


def _by_id(entries: list[dict], file: str, faults: list[str]) -> dict[Any, dict]:
    """Return the entries by their id; one without or with another's is a fault."""
    found: dict[Any, dict] = {}
    for entry in entries:
        key = _plain(entry.get("id"))
        if key is None or key in found:
            faults.append(
                f"{file}: a picture with the id {shortened(entry.get('id'))}; expected a number "
                "of its own"
            )
        else:
            found[key] = entry
    return found


def read_instances(path: Path, *, labelled: bool = True) -> dict[str, list[dict]]:
    """Read an instances file in COCO format as it is, no more than its three lists being sure.

    Raises:
        DatasetError: it is no JSON, or lacks a list of objects.
    """
    data = read_json(path, max_bytes=MAX_JSON_BYTES)
    for key in ("images", "annotations", "categories"):
        if key == "annotations" and not labelled and isinstance(data, dict) and key not in data:
            continue
        entries = data.get(key) if isinstance(data, dict) else None
        if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
            raise DatasetError(
                f"{printable(path)}: no list of objects under {key!r}; expected an instances "
                "file in COCO format"
            )
    return data


def _categories(data: dict, path: Path) -> dict[int, str]:
    """Return the names of the categories by their ids, in the order of these."""
    try:
        pairs = sorted((int(c["id"]), str(c["name"])) for c in data["categories"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise DatasetError(f"{printable(path)}: a category without id or name") from None
    if len({category for category, _ in pairs}) < len(pairs):
        raise DatasetError(f"{printable(path)}: two categories have the same id; correct the file")
    if not pairs:
        raise DatasetError(f"{printable(path)}: no categories; expected at least one")
    return dict(pairs)
